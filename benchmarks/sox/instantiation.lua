local size = 1500000 -- small: 300
local Empty = {}
Empty.__index = Empty
function Empty.new() return setmetatable({}, Empty) end
local Point = {}
Point.__index = Point
function Point.new(x, y)
  local p = setmetatable({}, Point)
  p.x = x
  p.y = y
  return p
end
function Point:plus(other) return Point.new(self.x + other.x, self.y + other.y) end
local last = nil
local sum = Point.new(0, 0)
for i = 0, size - 1 do
  last = Empty.new()
  sum = sum:plus(Point.new(i % 7, 1))
end
print(last == nil)
print(string.format("%g", (sum.x + sum.y) % 99991))
