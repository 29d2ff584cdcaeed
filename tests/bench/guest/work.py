"""Fixed work for CPython: floats, dictionaries, strings, objects, big integers. Prints a checksum."""

import sys

ROUNDS = int(sys.argv[1])


class Point:
    __slots__ = ("x", "y")

    def __init__(self, x, y):
        self.x, self.y = x, y

    def moved(self, other):
        return Point((self.x + other.x) % 1009, (self.y * 3 + other.y) % 1013)


def words(count):
    state, found = 1, {}
    for _ in range(count):
        state = (state * 1103515245 + 12345) & 0x7FFFFFFF
        word = "w%x" % (state % 997)
        found[word] = found.get(word, 0) + 1
    return sorted(found.items(), key=lambda item: (-item[1], item[0]))[:3]


def floats(count):
    x, y = 0.5, 0.25
    for i in range(count):
        x, y = x * x - y * y - 0.7, 2 * x * y + 0.27015
        if x * x + y * y > 4:
            x, y = 1.0 / (i + 2), 0.1
    return x, y


def objects(count):
    point, step = Point(1, 2), Point(3, 5)
    for _ in range(count):
        point = point.moved(step)
    return point.x, point.y


def primes(limit):
    flags = bytearray([1]) * limit
    for i in range(2, limit):
        if flags[i]:
            flags[i * i :: i] = bytes(len(range(i * i, limit, i)))
    return sum(flags) - 2


for _ in range(ROUNDS):
    results = words(2000), floats(2000), objects(1500), primes(5000), pow(3, 2000) % 1000003
print("checksum", repr(results))
