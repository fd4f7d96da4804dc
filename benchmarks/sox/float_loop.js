const size = 140 // small: 8
function iterations(a, b, limit) {
  let x = 0, y = 0, n = 0;
  while (n < limit) {
    const xx = x * x;
    const yy = y * y;
    if (xx + yy > 4) return n;
    y = 2 * x * y + b;
    x = xx - yy + a;
    n = n + 1;
  }
  return n;
}
function mandelbrot(size) {
  let total = 0;
  for (let i = 0; i < size; i++)
    for (let j = 0; j < size; j++)
      total = total + iterations(3 * i / size - 2, 2 * j / size - 1, 500);
  return total;
}
show(mandelbrot(size) % 99991);
