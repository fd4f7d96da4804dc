size = 1000000  # small: 100


class Toggle:
    def __init__(self, state):
        self.state = state

    def value(self):
        return self.state

    def activate(self):
        self.state = not self.state
        return self


class NthToggle(Toggle):
    def __init__(self, state, max):
        super().__init__(state)
        self.max = max
        self.count = 0

    def activate(self):
        self.count = self.count + 1
        if self.count >= self.max:
            super().activate()
            self.count = 0
        return self


def show(value):
    print("true" if value else "false")


def run(n):
    on = 0
    toggle = Toggle(True)
    for _ in range(n):
        if toggle.activate().value():
            on = on + 1
        if toggle.activate().value():
            on = on + 1
    print(f"{on % 99991:g}")
    show(toggle.value())
    third = NthToggle(True, 3)
    for _ in range(n):
        if third.activate().value():
            on = on + 1
        if third.activate().value():
            on = on + 1
    print(f"{on:g}")
    show(third.value())


run(size)
