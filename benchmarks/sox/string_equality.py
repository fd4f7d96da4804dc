size = 2000000  # small: 200


def run(n):
    a = "a string of some length"
    b = "a string of some "
    b = b + "length"
    c = "a string of some lengtH"
    d = "short"
    count = 0
    for i in range(n):
        if a == a:
            count = count + 1
        if a == b:
            count = count + 1
        if a == c:
            count = count + 1000
        if a != d:
            count = count + 1
        if b == c:
            count = count + 1000
        if d == i:
            count = count + 1000
        if b != a:
            count = count + 1000
        if d == "short":
            count = count + 1
    print(f"{count % 99991:g}")


run(size)
