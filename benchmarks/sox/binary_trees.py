size = 16  # small: 6


class Tree:
    def __init__(self, depth):
        if depth > 0:
            self.left = Tree(depth - 1)
            self.right = Tree(depth - 1)
        else:
            self.left = None
            self.right = None

    def check(self):
        if self.left is None:
            return 1
        return 1 + self.left.check() + self.right.check()


def run(size):
    long = Tree(size)
    depth = 4
    while depth <= size:
        rounds = 2 ** (size - depth + 2)
        total = 0
        for _ in range(rounds):
            total = total + Tree(depth).check()
        print(f"{rounds:g} trees of depth {depth:g}, check {total:g}")
        depth = depth + 3
    print(f"long lived, check {long.check():g}")


run(size)
