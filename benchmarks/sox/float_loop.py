size = 140  # small: 8


def iterations(a, b, limit):
    x = 0.0
    y = 0.0
    n = 0
    while n < limit:
        xx = x * x
        yy = y * y
        if xx + yy > 4:
            return n
        y = 2 * x * y + b
        x = xx - yy + a
        n = n + 1
    return n


def mandelbrot(size):
    total = 0
    for i in range(size):
        for j in range(size):
            total = total + iterations(3 * i / size - 2, 2 * j / size - 1, 500)
    return total


print(f"{(mandelbrot(size) % 99991):g}")
