local size = 900000 -- small: 2000
local seed = 42
local function random(n)
  seed = (seed * 3877 + 29573) % 139968
  return math.floor(seed * n / 139968)
end
local parts = {"ka", "lo", "mi", "ne", "su", "ta", "ri", "po", "ve", "du"}
local counts = {}
local words = 0
for i = 1, size do
  -- Lua evaluates operands from left to right here too, each call being a statement's part.
  local a = parts[random(10) + 1]
  local b = parts[random(10) + 1]
  local c = parts[random(6) + 1]
  local word = a .. b .. c
  if counts[word] == nil then
    counts[word] = 0
    words = words + 1
  end
  counts[word] = counts[word] + 1
end
print(string.format("%g", words))
print(counts["kalomi"] and string.format("%g", counts["kalomi"]) or "nil")
local most, sum = 0, 0
for word, count in pairs(counts) do
  sum = sum + count
  if count > most then most = count end
end
print(string.format("%g", sum))
print(string.format("%g", most))
