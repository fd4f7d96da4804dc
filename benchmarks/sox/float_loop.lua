local size = 140 -- small: 8
local function iterations(a, b, limit)
  local x, y, n = 0.0, 0.0, 0
  while n < limit do
    local xx = x * x
    local yy = y * y
    if xx + yy > 4 then return n end
    y = 2 * x * y + b
    x = xx - yy + a
    n = n + 1
  end
  return n
end
local function mandelbrot(size)
  local total = 0
  for i = 0, size - 1 do
    for j = 0, size - 1 do
      total = total + iterations(3 * i / size - 2, 2 * j / size - 1, 500)
    end
  end
  return total
end
print(string.format("%g", mandelbrot(size) % 99991))
