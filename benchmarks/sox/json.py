size = 60  # small: 1
DIGITS = {str(digit): digit for digit in range(10)}


class Parser:
    def __init__(self, text):
        self.at = 0
        characters = []
        for c in text:
            characters.append(c)
        characters.append("")
        self.text = characters

    def skip(self):
        while self.text[self.at] == " ":
            self.at = self.at + 1

    def take(self, c):
        self.skip()
        if self.text[self.at] != c:
            return False
        self.at = self.at + 1
        return True

    def expect(self, c):
        if not self.take(c):
            raise ValueError(f"'{c}' expected")

    def value(self):
        self.skip()
        c = self.text[self.at]
        if c == "{":
            return self.object()
        if c == "[":
            return self.list()
        if c == "'":
            return self.string()
        if c == "t":
            self.at = self.at + 4
            return True
        if c == "f":
            self.at = self.at + 5
            return False
        if c == "n":
            self.at = self.at + 4
            return None
        return self.number()

    def object(self):
        result = {}
        self.take("{")
        if self.take("}"):
            return result
        while True:
            self.skip()
            key = self.string()
            self.expect(":")
            result[key] = self.value()
            if not self.take(","):
                break
        self.expect("}")
        return result

    def list(self):
        result = []
        self.take("[")
        if self.take("]"):
            return result
        result.append(self.value())
        while self.take(","):
            result.append(self.value())
        self.expect("]")
        return result

    def string(self):
        s = ""
        self.at = self.at + 1
        while self.text[self.at] != "'":
            s = s + self.text[self.at]
            self.at = self.at + 1
        self.at = self.at + 1
        return s

    def digit(self):
        return DIGITS.get(self.text[self.at])

    def number(self):
        sign = 1
        if self.take("-"):
            sign = -1
        n = 0
        while True:
            d = self.digit()
            if d is None:
                break
            n = n * 10 + d
            self.at = self.at + 1
        return sign * n


def record(i):
    return (
        "{'id': " + str(i) + ", 'name': 'item " + str(i) + "', 'tags': ['red', 'green', 'blue'], "
        "'on': true, 'off': false, 'none': null, 'position': {'x': -"
        + str(i)
        + ", 'y': [1, [2, [3]]]}}"
    )


def document(n):
    s = "["
    for i in range(n):
        if i > 0:
            s = s + ", "
        s = s + record(i)
    return s + "]"


def run(rounds):
    text = document(100)
    total = 0
    for _ in range(rounds):
        for item in Parser(text).value():
            total = total + item["id"] + len(item["name"]) + len(item["tags"])
            total = total + item["position"]["x"]
            if item["on"] and not item["off"] and item.get("none") is None:
                total = total + item["position"]["y"][1][1][0]
    print(f"{len(text):g}")
    print(f"{total:g}")


run(size)
