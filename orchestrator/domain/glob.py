"""Patterns made ready to be compared: which paths each matches, and whether two of them share a path.

A path is what git stores: segments joined by `/`, without NUL; no segment is empty, `.`, `..` or `.git` (in any case:
git itself refuses those). A character is a code point, and nothing is normalised. The language of patterns is that of
`orchestrator.domain.pattern`.

Two patterns are compared as automata: whether the product of their positions reaches a pair of ends (Hopcroft and
Ullman 1979, section 3.3), once over segments and, inside, once over characters. Work grows with the product of the two
lengths, whatever the number of wildcards.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, TypeVar

from orchestrator.domain.charset import CharSet, charset_of, common, fold_case
from orchestrator.domain.pattern import TREE, literal_of, split_segments, split_units

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

# How the names that no segment can have are spelt: from what was read so far, the letters that go on to one.
_RESERVED = {
    "": {".": "."},
    ".": {".": "..", "g": ".g", "G": ".g"},
    ".g": {"i": ".gi", "I": ".gi"},
    ".gi": {"t": ".git", "T": ".git"},
    ".git": {},
    "..": {},
}
_RESERVED_NAMES = frozenset({"", ".", "..", ".git"})
_LONGEST_RESERVED = 4
_FREE = "free"  # what was read is not the beginning of any reserved name

_Item = TypeVar("_Item")
_Letter = TypeVar("_Letter")


@dataclass(frozen=True, slots=True, eq=False)
class Segment:
    """One segment of a pattern.

    Args:
        literal: The name it spells, where it has no wildcards (folded, where case is).
        chars: Its characters; None stands for `*`, and no two of those are neighbours.
    """

    literal: str | None
    chars: tuple[CharSet | None, ...]

    def matches(self, name: str) -> bool:
        """Whether it matches the name of a file or directory."""
        if self.literal is not None:
            return self.literal == name
        return _matches(self.chars, name, CharSet.__contains__)


@dataclass(frozen=True, slots=True, eq=False)
class Glob:
    """A canonical pattern, made ready to be compared.

    Args:
        prefix: Its leading segments without wildcards; every path it matches begins with them.
        rest: Its other segments; None stands for `**`, and no two of those are neighbours.
    """

    prefix: tuple[str, ...]
    rest: tuple[Segment | None, ...]

    @property
    def whole_beneath(self) -> bool:
        """Whether it matches everything at and beneath its prefix."""
        return self.rest == (None,)

    @property
    def matches_nothing(self) -> bool:
        """Whether no path can match it, for it asks for a name that no segment has."""
        return any(name.lower() in _RESERVED_NAMES for name in self.prefix) or any(
            segment is not None and not _share_a_name(segment, segment) for segment in self.rest
        )

    def matches(self, path: tuple[str, ...]) -> bool:
        """Whether it matches a path, as `path_segments` gave it with the same `fold`."""
        depth = len(self.prefix)
        return path[:depth] == self.prefix and _matches(self.rest, path[depth:], Segment.matches)


@lru_cache(maxsize=16_384)
def compile_glob(pattern: str, *, fold: bool) -> Glob:
    """Make a pattern ready to be compared.

    Args:
        pattern: Canonical, as `read_pattern` gives it.
        fold: Whether letters are compared without case.
    """
    texts = split_segments(pattern)
    segments = [None if text == TREE else _segment(text, fold=fold) for text in texts]
    prefix: list[str] = []
    for segment in segments:
        if segment is None or segment.literal is None:
            break
        prefix.append(segment.literal)
    return Glob(tuple(prefix), tuple(segments[len(prefix) :]) or (None,))


@lru_cache(maxsize=65_536)
def share_a_path(left: Glob, right: Glob) -> bool:
    """Whether some path matches both patterns; exact.

    Args:
        left: One compiled pattern that matches something.
        right: Another, compiled with the same `fold`.
    """
    if any(mine != theirs for mine, theirs in zip(left.prefix, right.prefix, strict=False)):
        return False
    depth = min(len(left.prefix), len(right.prefix))
    return _meet(_beyond(left, depth), _beyond(right, depth), _share_a_name)


def path_segments(path: str, *, fold: bool) -> tuple[str, ...] | None:
    """Split a path of the repository into segments, case-folded on request; None where it is not such a path."""
    if "\0" in path or any(name.lower() in _RESERVED_NAMES for name in path.split("/")):
        return None
    return tuple((fold_case(path) if fold else path).split("/"))


def _beyond(glob: Glob, depth: int) -> tuple[Segment | None, ...]:
    return (*map(_name_segment, glob.prefix[depth:]), *glob.rest)


@lru_cache(maxsize=16_384)
def _name_segment(name: str) -> Segment:
    return Segment(name, tuple(charset_of("\\" + char, fold=False) for char in name))


@lru_cache(maxsize=16_384)
def _segment(text: str, *, fold: bool) -> Segment:
    literal = literal_of(text)
    chars = tuple(None if unit == "*" else charset_of(unit, fold=fold) for unit in split_units(text))
    return Segment(fold_case(literal) if fold and literal is not None else literal, chars)


def _matches(
    pattern: Sequence[_Item | None], letters: Sequence[_Letter], fits: Callable[[_Item, _Letter], bool]
) -> bool:
    """Match letters to a pattern in which None stands for any run; only the last such run ever needs widening."""
    at = read = 0
    resume = widened = -1
    while read < len(letters):
        item = pattern[at] if at < len(pattern) else None
        if at < len(pattern) and item is None:
            resume, widened = at, read
            at += 1
        elif item is not None and fits(item, letters[read]):
            at, read = at + 1, read + 1
        elif resume >= 0:
            widened += 1
            at, read = resume + 1, widened
        else:
            return False
    return all(item is None for item in pattern[at:])


def _meet(left: Sequence[_Item | None], right: Sequence[_Item | None], fits: Callable[[_Item, _Item], bool]) -> bool:
    """Whether some word matches two patterns in which None stands for any run, and no two of those are neighbours.

    The places reached on the right are bits of a number; it is moved on once for each item on the left.
    """
    runs = sum(1 << at for at, item in enumerate(right) if item is None)
    end = 1 << len(right)
    fitting: dict[_Item, int] = {}
    reached = 1
    for item in left:
        if item is None:  # takes whatever the right asks for: all places from the first one on
            reached = 2 * end - (reached & -reached)
            continue
        if item not in fitting:
            fitting[item] = sum(1 << at for at, other in enumerate(right) if other is not None and fits(item, other))
        reached |= (reached & runs) << 1
        reached = (reached & runs) | (reached & fitting[item]) << 1
    reached |= (reached & runs) << 1
    return reached & end != 0


@lru_cache(maxsize=65_536)
def _share_a_name(left: Segment, right: Segment) -> bool:
    """Whether some name that a segment can have matches both."""
    if left.literal is not None and right.literal is not None and left.literal != right.literal:
        return False
    longer = max(sum(chars is not None for chars in segment.chars) for segment in (left, right))
    if longer > _LONGEST_RESERVED:
        return _meet(left.chars, right.chars, _overlap)
    return _share_a_short_name(left.chars, right.chars)


def _overlap(left: CharSet, right: CharSet) -> bool:
    both = common(left, right)
    return both is not None and len(both) > 0


def _share_a_short_name(left: Sequence[CharSet | None], right: Sequence[CharSet | None]) -> bool:
    """Whether some name matches both, where it might be a reserved one: so what was read is part of the place."""
    seen = {(0, 0, "")}
    ahead = [(0, 0, "")]
    while ahead:
        at, beside, read = ahead.pop()
        mine, theirs = left[at : at + 1], right[beside : beside + 1]
        if not mine and not theirs and read not in _RESERVED_NAMES:
            return True
        found = [(at + 1, beside, read)] if mine == (None,) else []
        found += [(at, beside + 1, read)] if theirs == (None,) else []
        if mine and theirs:
            onward = at + (mine[0] is not None), beside + (theirs[0] is not None)
            found += [(*onward, after) for after in _spell(common(mine[0], theirs[0]), read)]
        ahead.extend(place for place in found if place not in seen)
        seen.update(found)
    return False


def _spell(letters: CharSet | None, read: str) -> list[str]:
    """Give what may have been read after one more of these letters; None stands for any letter."""
    onward = _RESERVED.get(read, {})
    if letters is None:
        return [*onward.values(), _FREE]
    reserved = [after for letter, after in onward.items() if letter in letters]
    return [*reserved, _FREE] if len(letters) > len(reserved) else reserved
