local size = 1000000 -- small: 100
local Toggle = {}
Toggle.__index = Toggle
function Toggle.new(state) return setmetatable({state = state}, Toggle) end
function Toggle:value() return self.state end
function Toggle:activate()
  self.state = not self.state
  return self
end
local NthToggle = setmetatable({}, Toggle)
NthToggle.__index = NthToggle
function NthToggle.new(state, max)
  return setmetatable({state = state, max = max, count = 0}, NthToggle)
end
function NthToggle:activate()
  self.count = self.count + 1
  if self.count >= self.max then
    Toggle.activate(self)
    self.count = 0
  end
  return self
end
local on = 0
local toggle = Toggle.new(true)
for i = 1, size do
  if toggle:activate():value() then on = on + 1 end
  if toggle:activate():value() then on = on + 1 end
end
print(string.format("%g", on % 99991))
print(toggle:value())
local third = NthToggle.new(true, 3)
for i = 1, size do
  if third:activate():value() then on = on + 1 end
  if third:activate():value() then on = on + 1 end
end
print(string.format("%g", on))
print(third:value())
