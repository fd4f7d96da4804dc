local size = 800000 -- small: 100
local function counter(start)
  local n = start
  return function(step)
    n = n + step
    return n
  end
end
local function compose(f, g) return function(x) return f(g(x)) end end
local total = 0
local shared = counter(0)
for i = 0, size - 1 do
  local own = counter(i)
  total = total + own(1) - own(2) + 3
  shared(1)
  local k = i % 5
  local add = function(x) return x + k end
  total = total + compose(add, add)(1) % 3
end
print(string.format("%g", total % 99991))
print(string.format("%g", shared(0)))
