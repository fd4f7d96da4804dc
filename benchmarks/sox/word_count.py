from math import floor

size = 900000  # small: 2000
seed = 42


def random(n):
    global seed
    seed = (seed * 3877 + 29573) % 139968
    return floor(seed * n / 139968)


def run(n):
    parts = ["ka", "lo", "mi", "ne", "su", "ta", "ri", "po", "ve", "du"]
    counts = {}
    words = 0
    for _ in range(n):
        word = parts[random(10)] + parts[random(10)] + parts[random(6)]
        if counts.get(word) is None:
            counts[word] = 0
            words = words + 1
        counts[word] = counts[word] + 1
    print(f"{words:g}")
    kalomi = counts.get("kalomi")
    print("nil" if kalomi is None else f"{kalomi:g}")
    most = 0
    total = 0
    for count in counts.values():
        total = total + count
        if count > most:
            most = count
    print(f"{total:g}")
    print(f"{most:g}")


run(size)
