size = 1500000  # small: 300


class Empty:
    pass


class Point:
    def __init__(self, x, y):
        self.x = x
        self.y = y

    def plus(self, other):
        return Point(self.x + other.x, self.y + other.y)


def run(n):
    last = None
    total = Point(0, 0)
    for i in range(n):
        last = Empty()
        total = total.plus(Point(i % 7, 1))
    print("true" if last is None else "false")
    print(f"{((total.x + total.y) % 99991):g}")


run(size)
