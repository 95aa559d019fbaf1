r"""The pattern language of scopes, and the one way to write each pattern.

| written | means |
|---|---|
| `*` | any characters within one segment, none included; alone, any one segment |
| `**` | any number of whole segments, **none included**; only as a whole segment |
| `?` | one character |
| `[a-z_]`, `[!a]`, `[^a]` | one character of (not of) the class; `]` first and `-` first or last are themselves |
| `{a,b/*}` | each alternative as a pattern of its own, written out before anything else is read; may nest |
| `\*` | the character itself; not before a letter, digit, `_`, `.` or `/`, where a Windows path is more likely |

No wildcard ever matches `/`, and hidden files are not special. A pattern without wildcards names a file, or a directory
with everything in it. Because `**` may stand for nothing, `a`, `a/` and `a/**` are one and the same: `a` itself and all
beneath it. (`a` may be a file, a link or a submodule; who may write all of `a/` may put one of those in its place.) So
is `.` the same as `**`; but `a/**/*`, which asks for a segment more, does not match `a`.
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache
from itertools import pairwise
from typing import NoReturn

from orchestrator.domain.charset import charset_of
from orchestrator.errors import InputError

MAX_LENGTH = 1024
MAX_ALTERNATIVES = 256
TREE = "**"

_ESCAPED = frozenset("*?[{}\\")  # what a canonical pattern writes with a backslash: these, and a first !


@lru_cache(maxsize=16_384)
def read_pattern(pattern: str) -> tuple[str, ...]:
    """Check a pattern as a person wrote it and give its canonical alternatives.

    Args:
        pattern: One pattern, at most 1,024 characters.

    Returns:
        Its alternatives with braces written out, in the order written. What differs only in a leading `./`, a trailing
        `/` or `/**`, needless escapes, or the order of neighbouring `*` and `**` segments is written in one way, and
        reading that again gives it back unchanged.

    Raises:
        InputError: the text is no pattern, is absolute, or has more than 256 alternatives.
    """
    if not pattern.strip():
        raise InputError("A scope pattern is empty.", "Remove it, or write ** for the whole tree.")
    _check_length(pattern)
    if any(unicodedata.category(char) in ("Cc", "Cs") for char in pattern):
        _refuse(pattern, "holds a control character, a line break or half a surrogate pair", "Match it with ?.")
    return tuple(dict.fromkeys(_canonical(pattern, alternative) for alternative in _expand(pattern)))


def _refuse(pattern: str, what: str, remedy: str) -> NoReturn:
    raise InputError(f"The scope pattern {pattern!r} {what}.", remedy)


def _check_length(pattern: str) -> None:
    if len(pattern) > MAX_LENGTH:
        _refuse(pattern[:40] + "...", f"is longer than {MAX_LENGTH} characters", "Shorten it, or split it up.")


def _expand(pattern: str) -> list[str]:
    """Write out the braces."""
    outer: list[tuple[list[str], list[str]]] = []
    finished: list[str] = []  # of the innermost open brace: the alternatives before the last comma
    growing = [""]  # and what stands behind it, in all its variants
    for unit in split_units(pattern):
        if unit == "{":
            outer.append((finished, growing))
            finished, growing = [], [""]
        elif unit == "," and outer:
            finished, growing = finished + growing, [""]
        elif unit == "}":
            if not outer:
                _refuse(pattern, "closes a brace that was never opened", r"Balance it, or write \}.")
            endings = finished + growing
            finished, beginnings = outer.pop()
            if len(beginnings) * len(endings) > MAX_ALTERNATIVES:
                _refuse(pattern, f"has more than {MAX_ALTERNATIVES} alternatives", "Use * or a directory instead.")
            growing = [beginning + ending for beginning in beginnings for ending in endings]
        else:
            growing = [text + unit for text in growing]
    if outer:
        _refuse(pattern, "opens a brace that is never closed", r"Balance it, or write \{.")
    return growing


def split_units(pattern: str) -> list[str]:
    """Cut a pattern into characters, escaped characters and classes.

    Raises:
        InputError: a class is never closed, or a backslash stands before nothing it can escape.
    """
    units = []
    at = 0
    while at < len(pattern):
        end = _class_end(pattern, at) if pattern[at] == "[" else _char_end(pattern, at)
        units.append(pattern[at:end])
        at = end
    return units


def _char_end(pattern: str, at: int) -> int:
    if pattern[at] != "\\":
        return at + 1
    escaped = pattern[at + 1 : at + 2]
    if not escaped or escaped.isalnum() or escaped in "_./":
        _refuse(
            pattern, "uses a backslash before nothing it can escape", r"Separate directories by /; \ escapes * ? [ {."
        )
    return at + 2


def _class_end(pattern: str, start: int) -> int:
    at = start + 1
    if pattern[at : at + 1] in ("!", "^"):
        at += 1
    first = at
    while at < len(pattern) and (pattern[at] != "]" or at == first):
        if pattern[at] == "/":
            _refuse(pattern, "has a / within [ ]", "A class stands for one character of one segment; use {a,b}.")
        if pattern[at : at + 2] in ("[:", "[.", "[="):
            _refuse(pattern, "has a named class within [ ]", r"Write its characters out, or \[ for the character [.")
        at = _char_end(pattern, at)
    if at >= len(pattern):
        _refuse(pattern, "opens a [ that is never closed", r"Balance it, or write \[ for the character itself.")
    return at + 1


def _canonical(pattern: str, alternative: str) -> str:
    """Give the one way to write an alternative; `pattern` is what the person wrote."""
    if alternative.startswith("!"):
        _refuse(pattern, "begins with !, and a scope cannot exclude", r"Name what is in scope, or write \! for a name.")
    segments = split_segments(alternative)
    if segments == [""]:
        _refuse(pattern, "has an alternative that is empty", "Remove it, or write ** for the whole tree.")
    if segments[0] == "":
        _refuse(pattern, "is an absolute path", "Write it relative to the root of the repository.")
    if segments[-1] == "":
        segments[-1] = TREE
    while segments[:1] == ["."]:
        del segments[0]
    for segment in segments:
        _check_segment(pattern, segment)
    segments = _settle(segments or [TREE])
    text = "/".join(segments)
    text = "\\" + text if text.startswith("!") else text
    _check_length(text)
    return text


def split_segments(pattern: str) -> list[str]:
    """Split a pattern without braces into segments, needless escapes removed."""
    segments = [""]
    for unit in split_units(pattern):
        if unit == "/":
            segments.append("")
        elif unit.startswith("[^"):
            segments[-1] += "[!" + unit[2:]
        else:
            segments[-1] += unit[1] if unit[0] == "\\" and unit[1] not in _ESCAPED else unit
    return segments


def _check_segment(pattern: str, text: str) -> None:
    if text == TREE:
        return
    if not text:
        _refuse(pattern, "has two slashes in a row", "Write one.")
    if ("*", "*") in pairwise(split_units(text)):
        _refuse(
            pattern, "has ** beside other text in a segment", "Write * within a segment, and ** only between slashes."
        )
    try:
        for unit in split_units(text):
            if unit != "*":
                charset_of(unit, fold=False)
    except ValueError:
        _refuse(pattern, "has a range whose end comes before its beginning", "Turn it round.")


def _settle(segments: list[str]) -> list[str]:
    """Order neighbouring `*` and `**`, and shorten what then says the same."""
    settled: list[str] = []
    for segment in segments:
        after_tree = settled[-1:] == [TREE]
        if segment == "*" and after_tree:
            settled[-1:] = ["*", TREE]
        elif segment != TREE or not after_tree:
            settled.append(segment)
    if settled == ["*", TREE]:
        return [TREE]
    if len(settled) > 1 and settled[-1] == TREE and all(literal_of(text) is not None for text in settled[:-1]):
        settled.pop()
    return settled


def literal_of(text: str) -> str | None:
    """Give the name that a segment spells, or None where it has wildcards."""
    units = split_units(text)
    if any(unit in ("*", "?") or unit[0] == "[" for unit in units):
        return None
    return "".join(unit[-1] for unit in units)
