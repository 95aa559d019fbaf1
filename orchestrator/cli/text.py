"""Words and figures for a person, and what becomes of text that others wrote before a terminal gets it."""

from __future__ import annotations

import re
import unicodedata
from datetime import UTC, datetime

_ESCAPES = re.compile(
    r"\x1b[\]PX^_][^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)?"  # OSC, DCS, SOS, PM, APC and what they carry
    r"|[\x1b\x9b]\[?[0-?]*[ -/]*[@-~]"  # CSI, and escapes of two or three characters
)
"""Control sequences as ECMA-48 (5th edition, sections 5.3 to 5.6) writes them."""

_UNFINISHED = re.compile(r"\x1b(?:[\]PX^_][^\x07\x1b\x9c]{0,4000}|\[?[0-?]*[ -/]*)$|\r$")
_DIRECTIONS = dict.fromkeys((*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x200E, 0x200F, 0x061C))
_MINUTE, _HOUR, _DAY = 60, 3600, 86400
_SHORT = 10
_MILLION = 1_000_000
_THOUSAND = 1_000


def utc_now() -> datetime:
    """The time, UTC."""
    return datetime.now(UTC)


def clean(text: str) -> str:
    """Text of several lines without anything that moves a terminal's cursor, colours it, or turns its direction.

    Line breaks and tabs stay; a carriage return alone counts as a line break, for it would let a line overwrite itself.
    """
    plain = _ESCAPES.sub("", text).replace("\r\n", "\n").replace("\r", "\n").translate(_DIRECTIONS)
    return "".join(char for char in plain if char in "\n\t" or unicodedata.category(char) not in ("Cc", "Cs"))


def line(text: str) -> str:
    """The same on one line."""
    return " ".join(clean(text).split())


class Cleaner:
    """Cleans text that arrives in pieces, of which one may end within a control sequence."""

    def __init__(self) -> None:
        self._kept = ""

    def feed(self, piece: str) -> str:
        """Clean what can be judged by now."""
        text = self._kept + piece
        unfinished = _UNFINISHED.search(text)
        end = unfinished.start() if unfinished else len(text)
        self._kept = text[end:]
        return clean(text[:end])


def span(seconds: float) -> str:
    """A length of time in one or two words: `8.2 s`, `41 s`, `12 min`, `3 h 05 min`, `4 d`."""
    seconds = max(0.0, seconds)
    if seconds < _SHORT:
        return f"{seconds:.1f} s"
    if seconds < _MINUTE:
        return f"{seconds:.0f} s"
    if seconds < _HOUR:
        return f"{seconds // _MINUTE:.0f} min"
    if seconds < _DAY:
        return f"{seconds // _HOUR:.0f} h {seconds % _HOUR // _MINUTE:02.0f} min"
    return f"{seconds // _DAY:.0f} d"


def age(moment: datetime | None, now: datetime) -> str:
    """How long ago something was, in one word: `now`, `41s`, `12m`, `3h`, `4d`; empty where it was not."""
    if moment is None:
        return ""
    seconds = (now - moment).total_seconds()
    for size, unit in ((_DAY, "d"), (_HOUR, "h"), (_MINUTE, "m"), (1, "s")):
        if seconds >= size:
            return f"{seconds // size:.0f}{unit}"
    return "now"


def ago(moment: datetime, now: datetime) -> str:
    """How long ago something was, as the end of a sentence."""
    word = age(moment, now)
    return "just now" if word == "now" else f"{word} ago"


def amount(number: float) -> str:
    """A count as short as it can be read: `950`, `12.4k`, `1.2M`."""
    if number < _THOUSAND:
        return f"{number:.0f}"
    unit, size = ("M", _MILLION) if number >= _MILLION else ("k", _THOUSAND)
    return f"{number / size:.1f}".removesuffix(".0") + unit


def minutes(number: float) -> str:
    """Minutes with one place where that says something: `0.4`, `12`."""
    return f"{number:.1f}".removesuffix(".0") if number < _SHORT else f"{number:.0f}"


def percent(rate: float | None) -> str:
    """A rate of 0 to 1 as a percentage; a dash where nothing was counted."""
    return "-" if rate is None else f"{rate * 100:.0f}%"


def count(number: int, noun: str) -> str:
    """A number with its noun: `1 task`, `3 tasks`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def listed(names: list[str] | tuple[str, ...]) -> str:
    """Names as a sentence lists them: `T1, T2 and T3`."""
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
