size = 32  # small: 12


def fib(n):
    if n < 2:
        return n
    return fib(n - 1) + fib(n - 2)


print(f"{(fib(size) % 99991):g}")
