-- Closures, coroutines, strings, tables, errors, numbers, and the collector.
local function fib(n) if n < 2 then return n end return fib(n - 1) + fib(n - 2) end
print(_VERSION, fib(20))
local squares = {}
for i = 1, 1000 do squares[i] = i * i end
table.sort(squares, function(a, b) return a > b end)
print(#squares, squares[1], squares[1000], table.concat({1, 2.5, "three"}, ","))
local producer = coroutine.wrap(function() for i = 1, 3 do coroutine.yield(i) end return "done" end)
print(producer(), producer(), producer(), producer())
print(select(2, pcall(function() error({code = 7}) end)).code)
print(select(2, pcall(error, "plain")), math.type(3), math.type(3.0), 7 // 2, 7 % -3, 2 ^ 0.5)
print(string.format("%5.2f|%-6s|%x|%q", math.pi, "ab", 255, "a\nb"), ("hello"):rep(3, "-"):upper())
print(("key=value; other=thing"):gsub("(%w+)=(%w+)", "%2=%1"))
collectgarbage()
local words = {}
for word in ("the quick brown fox jumps over the lazy dog the end"):gmatch("%a+") do
  words[word] = (words[word] or 0) + 1
end
print(words.the, words.fox, os.time{year = 2000, month = 1, day = 1, hour = 12} > 0)
print(load("return 1 + ...")(41), utf8.char(228, 8364), #utf8.char(8364), 0x7fffffffffffffff + 1)
