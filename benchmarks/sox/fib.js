const size = 32 // small: 12
function fib(n) {
  if (n < 2) return n;
  return fib(n - 1) + fib(n - 2);
}
show(fib(size) % 99991);
