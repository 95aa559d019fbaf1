"""Results for people to read."""


def line(name, value):
    return f"{name}: {value}"
