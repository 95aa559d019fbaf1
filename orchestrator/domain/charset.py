"""Sets of characters, as a pattern's classes and wildcards name them, with and without case.

Without case, letters are compared by *simple* folding: one character for one character, so that `?` keeps its meaning
(Unicode, CaseFolding.txt, status C and S). `ß` is therefore not `ss`. A set then holds folded characters only.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from functools import lru_cache
from sys import maxunicode
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

Range = tuple[int, int]  # first and last code point

_CASED = 0x20000  # no script at or beyond plane 2 has upper and lower case


@dataclass(frozen=True, slots=True, eq=False)
class CharSet:
    """Characters that may stand in one place of a name; never `/` or NUL.

    Args:
        ranges: First and last code points, ascending, disjoint, not touching.
    """

    ranges: tuple[Range, ...]

    def __contains__(self, char: str) -> bool:
        after = bisect_right(self.ranges, (ord(char), maxunicode))
        return after > 0 and ord(char) <= self.ranges[after - 1][1]

    def __len__(self) -> int:
        return sum(last - first + 1 for first, last in self.ranges)


@lru_cache(maxsize=16_384)
def charset_of(unit: str, *, fold: bool) -> CharSet:
    """Give the characters that one unit of a pattern stands for.

    Args:
        unit: `?`, a class in brackets, a character, or a backslash and a character.
        fold: Whether letters are compared without case.

    Raises:
        ValueError: a range of the class ends before it begins.
    """
    if unit == "?":
        return CharSet(_alphabet(fold=fold))
    if unit[0] != "[":
        char = fold_case(unit[-1]) if fold else unit[-1]
        return CharSet(((ord(char), ord(char)),))
    listed = _listed(unit)
    if fold:
        listed = _merge([*listed, *((after, after) for before, after in _foldings() if _holds(listed, before))])
    if unit[1] in "!^":
        listed = _complement(listed)
    return CharSet(_intersect(listed, _alphabet(fold=fold)))


@lru_cache(maxsize=65_536)
def common(left: CharSet | None, right: CharSet | None) -> CharSet | None:
    """Give the characters in both sets; None stands for all there are."""
    if left is None or left is right:
        return right
    return left if right is None else CharSet(_intersect(left.ranges, right.ranges))


def fold_case(text: str) -> str:
    """Fold case, one character for one character."""
    return text.lower() if text.isascii() else "".join(map(_fold_char, text))


def _fold_char(char: str) -> str:
    # Where full folding would lengthen (ß, ẞ), the lower case is what simple folding gives.
    return next((folded for folded in (char.casefold(), char.lower()) if len(folded) == 1), char)


@lru_cache(maxsize=1)
def _foldings() -> tuple[Range, ...]:
    """List the characters that folding changes, each with what it becomes."""
    pairs = ((point, ord(_fold_char(chr(point)))) for point in range(_CASED))
    return tuple((before, after) for before, after in pairs if before != after)


@lru_cache(maxsize=2)
def _alphabet(*, fold: bool) -> tuple[Range, ...]:
    barred: list[Range] = [(0, 0), (ord("/"), ord("/"))]
    if fold:
        barred.extend((before, before) for before, _ in _foldings())
    return _complement(_merge(barred))


def _listed(unit: str) -> tuple[Range, ...]:
    """Read what stands within the brackets of a class, whether or not it is negated."""
    body = unit[2:-1] if unit[1] in "!^" else unit[1:-1]
    chars: list[str] = []  # an escaped character keeps its backslash, so that \- is no range
    while body:
        size = 2 if body[0] == "\\" else 1
        chars.append(body[:size])
        body = body[size:]
    ranges: list[Range] = []
    at = 0
    while at < len(chars):
        is_range = chars[at + 1 : at + 2] == ["-"] and at + 2 < len(chars)
        first, last = chars[at], chars[at + 2 if is_range else at]
        if first[-1] > last[-1]:
            raise ValueError(unit)
        ranges.append((ord(first[-1]), ord(last[-1])))
        at += 3 if is_range else 1
    return _merge(ranges)


def _holds(ranges: tuple[Range, ...], point: int) -> bool:
    return any(first <= point <= last for first, last in ranges)


def _merge(ranges: Iterable[Range]) -> tuple[Range, ...]:
    merged: list[Range] = []
    for first, last in sorted(ranges):
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = merged[-1][0], max(merged[-1][1], last)
        else:
            merged.append((first, last))
    return tuple(merged)


def _complement(ranges: tuple[Range, ...]) -> tuple[Range, ...]:
    edges = [-1, *(point for pair in ranges for point in pair), maxunicode + 1]
    gaps = zip(edges[::2], edges[1::2], strict=True)
    return tuple((before + 1, after - 1) for before, after in gaps if before + 1 < after)


def _intersect(left: tuple[Range, ...], right: tuple[Range, ...]) -> tuple[Range, ...]:
    shared: list[Range] = []
    mine = theirs = 0
    while mine < len(left) and theirs < len(right):
        first = max(left[mine][0], right[theirs][0])
        last = min(left[mine][1], right[theirs][1])
        if first <= last:
            shared.append((first, last))
        if left[mine][1] < right[theirs][1]:
            mine += 1
        else:
            theirs += 1
    return tuple(shared)
