local size = 16 -- small: 6
local Tree = {}
Tree.__index = Tree
local function new(depth)
  local t = setmetatable({}, Tree)
  if depth > 0 then
    t.left = new(depth - 1)
    t.right = new(depth - 1)
  end
  return t
end
function Tree:check()
  if self.left == nil then return 1 end
  return 1 + self.left:check() + self.right:check()
end
local long = new(size)
local depth = 4
while depth <= size do
  local rounds = 2 ^ (size - depth + 2)
  local sum = 0
  for i = 1, rounds do sum = sum + new(depth):check() end
  print(string.format("%g trees of depth %g, check %g", rounds, depth, sum))
  depth = depth + 3
end
print(string.format("long lived, check %g", long:check()))
