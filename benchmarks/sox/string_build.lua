local size = 8000 -- small: 10
local function split(s, d)
  local out, at = {}, 1
  while true do
    local e = string.find(s, d, at, true)
    if not e then break end
    out[#out + 1] = string.sub(s, at, e - 1)
    at = e + #d
  end
  if at <= #s then out[#out + 1] = string.sub(s, at) end
  return out
end
local function line(n)
  local s = ""
  for i = 0, 199 do s = s .. "item" .. (n + i) % 100 .. ";" end
  return s
end
local total = 0
local pieces = 0
for i = 0, size - 1 do
  local s = line(i)
  total = total + #s
  if i % 8 == 0 then
    for k, piece in ipairs(split(s, ";")) do
      if string.sub(piece, 1, 5) == "item1" then pieces = pieces + 1 end
      if string.find(piece, "7", 1, true) then pieces = pieces + #string.upper(piece) end
    end
  end
end
print(string.format("%g", total % 99991))
print(string.format("%g", pieces))
