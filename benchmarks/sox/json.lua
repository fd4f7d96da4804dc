local size = 60 -- small: 1
local Parser = {}
Parser.__index = Parser
function Parser.new(text)
  local characters = {}
  for i = 1, #text do characters[i] = string.sub(text, i, i) end
  characters[#text + 1] = ""
  return setmetatable({text = characters, at = 1}, Parser)
end
function Parser:skip() while self.text[self.at] == " " do self.at = self.at + 1 end end
function Parser:take(c)
  self:skip()
  if self.text[self.at] ~= c then return false end
  self.at = self.at + 1
  return true
end
function Parser:value()
  self:skip()
  local c = self.text[self.at]
  if c == "{" then return self:object()
  elseif c == "[" then return self:list()
  elseif c == "'" then return self:string()
  elseif c == "t" then self.at = self.at + 4 return true
  elseif c == "f" then self.at = self.at + 5 return false
  elseif c == "n" then self.at = self.at + 4 return nil
  else return self:number() end
end
function Parser:object()
  local result = {}
  self:take("{")
  if self:take("}") then return result end
  while true do
    self:skip()
    local key = self:string()
    assert(self:take(":"), "':' expected")
    result[key] = self:value()
    if not self:take(",") then break end
  end
  assert(self:take("}"), "'}' expected")
  return result
end
function Parser:list()
  local result = {}
  self:take("[")
  if self:take("]") then return result end
  result[#result + 1] = self:value()
  while self:take(",") do result[#result + 1] = self:value() end
  assert(self:take("]"), "']' expected")
  return result
end
function Parser:string()
  local s = ""
  self.at = self.at + 1
  while self.text[self.at] ~= "'" do
    s = s .. self.text[self.at]
    self.at = self.at + 1
  end
  self.at = self.at + 1
  return s
end
function Parser:digit()
  local c = self.text[self.at]
  if c == "0" then return 0 elseif c == "1" then return 1 elseif c == "2" then return 2
  elseif c == "3" then return 3 elseif c == "4" then return 4 elseif c == "5" then return 5
  elseif c == "6" then return 6 elseif c == "7" then return 7 elseif c == "8" then return 8
  elseif c == "9" then return 9 else return nil end
end
function Parser:number()
  local sign = 1
  if self:take("-") then sign = -1 end
  local n = 0
  while true do
    local d = self:digit()
    if d == nil then break end
    n = n * 10 + d
    self.at = self.at + 1
  end
  return sign * n
end
local function record(i)
  return "{'id': " .. i .. ", 'name': 'item " .. i .. "', 'tags': ['red', 'green', 'blue'], "
    .. "'on': true, 'off': false, 'none': null, 'position': {'x': -" .. i .. ", 'y': [1, [2, [3]]]}}"
end
local function document(n)
  local s = "["
  for i = 0, n - 1 do
    if i > 0 then s = s .. ", " end
    s = s .. record(i)
  end
  return s .. "]"
end
local text = document(100)
local sum = 0
for i = 1, size do
  local parsed = Parser.new(text):value()
  for k, item in ipairs(parsed) do
    sum = sum + item.id + #item.name + #item.tags + item.position.x
    if item.on and not item.off and item.none == nil then sum = sum + item.position.y[2][2][1] end
  end
end
print(string.format("%g", #text))
print(string.format("%g", sum))
