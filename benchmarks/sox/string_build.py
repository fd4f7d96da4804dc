size = 8000  # small: 10


def line(n):
    s = ""
    for i in range(200):
        s = s + "item" + str((n + i) % 100) + ";"
    return s


def run(n):
    total = 0
    pieces = 0
    for i in range(n):
        s = line(i)
        total = total + len(s)
        if i % 8 == 0:
            for piece in s.split(";"):
                if piece.startswith("item1"):
                    pieces = pieces + 1
                if piece.find("7") >= 0:
                    pieces = pieces + len(piece.upper())
    print(f"{total % 99991:g}")
    print(f"{pieces:g}")


run(size)
