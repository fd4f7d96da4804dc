local size = 2000000 -- small: 200
local a = "a string of some length"
local b = "a string of some "
b = b .. "length"
local c = "a string of some lengtH"
local d = "short"
local count = 0
for i = 0, size - 1 do
  if a == a then count = count + 1 end
  if a == b then count = count + 1 end
  if a == c then count = count + 1000 end
  if a ~= d then count = count + 1 end
  if b == c then count = count + 1000 end
  if d == i then count = count + 1000 end
  if b ~= a then count = count + 1000 end
  if d == "short" then count = count + 1 end
end
print(string.format("%g", count % 99991))
