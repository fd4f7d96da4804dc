local size = 8 -- small: 1
local limit = 400000 -- small: 1000
local function sieve(limit)
  local composite = {}
  for i = 0, limit do composite[i] = false end
  local count = 0
  for i = 2, limit do
    if not composite[i] then
      count = count + 1
      for j = i + i, limit, i do composite[j] = true end
    end
  end
  return count
end
local total = 0
for i = 1, size do total = total + sieve(limit) end
print(string.format("%g", total))
