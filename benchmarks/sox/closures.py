size = 800000  # small: 100


def counter(start):
    n = start

    def step_by(step):
        nonlocal n
        n = n + step
        return n

    return step_by


def compose(f, g):
    return lambda x: f(g(x))


def run(n):
    total = 0
    shared = counter(0)
    for i in range(n):
        own = counter(i)
        total = total + own(1) - own(2) + 3
        shared(1)
        k = i % 5
        add = lambda x: x + k  # noqa: B023
        total = total + compose(add, add)(1) % 3
    print(f"{total % 99991:g}")
    print(f"{shared(0):g}")


run(size)
