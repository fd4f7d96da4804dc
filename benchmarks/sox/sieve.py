size = 8  # small: 1
limit = 400000  # small: 1000


def sieve(limit):
    composite = []
    for _ in range(limit + 1):
        composite.append(False)
    count = 0
    for i in range(2, limit + 1):
        if not composite[i]:
            count = count + 1
            for j in range(i + i, limit + 1, i):
                composite[j] = True
    return count


total = 0
for _ in range(size):
    total = total + sieve(limit)
print(f"{total:g}")
