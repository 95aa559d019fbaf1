"""The plain operations."""


def add(a, b):
    return a + b


def subtract(a, b):
    return b - a
