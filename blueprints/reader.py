"""Strict YAML: one document of plain values, and the line of every key.

The values follow the core schema of YAML 1.2 (https://yaml.org/spec/1.2.2/#103-core-schema), so `on`, `yes` and
`1:30` are text. Anchors, aliases, tags, directives and duplicate keys are refused: no file here needs them, and an
alias is how a few lines become gigabytes.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import yaml

from blueprints.errors import BlueprintError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

MAX_BYTES = 256 * 1024
MAX_DEPTH = 20

_TOO_LARGE = f"the file is larger than {MAX_BYTES // 1024} KiB"

KeyPath = tuple[str | int, ...]

# libyaml reads about ten times as fast as PyYAML's own scanner; both give the same events.
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_UNREADABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_TRUTHS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_WHOLE = re.compile(r"[-+]?[0-9]+")
_NUMBER = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_MAX_DIGITS = 30


def key_text(path: KeyPath) -> str:
    """Write a key's path for a person: `steps[1].on_fail`, items counted from 0."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            name = part if part.isprintable() and len(part) <= 60 else f"{ascii(part[:60])[1:-1]}..."  # noqa: PLR2004 - what a terminal line takes
            text += f".{name}" if text else name
    return text


@dataclass(frozen=True, kw_only=True)
class Document:
    """A file that has been read.

    Attributes:
        file: The file's path, as the caller named it.
        value: Its content: None, bool, int, float, str, list and dict.
        lines: The line of each key and item, counted from 1; the empty path is the whole file.
        blocks: The first line of the content of each literal block (`key: |`).
    """

    file: str
    value: object
    lines: Mapping[KeyPath, int]
    blocks: Mapping[KeyPath, int]

    def line(self, path: KeyPath) -> int | None:
        """Find the line of a key, or of the nearest key around it that the file has."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path)

    def error(self, path: KeyPath, message: str, expected: str, *, inner: int | None = None) -> BlueprintError:
        """Make the error about one key.

        Args:
            path: The key's path; the empty one blames the file as a whole.
            message: What was wrong.
            expected: What would have been right.
            inner: The line within the key's text, counted from 1. It is named where the text is a literal block,
                for only there do lines of the text and lines of the file run together.
        """
        line = self.line(path)
        if inner is not None and path in self.blocks:
            line = self.blocks[path] + inner - 1
        return BlueprintError(file=self.file, line=line, key=key_text(path) or None, message=message, expected=expected)


def read(text: str | bytes, file: str) -> Document:
    """Read one strict YAML document.

    Args:
        text: The file's content, at most 256 KiB; bytes must be UTF-8.
        file: The file's path, for errors only; nothing is opened.

    Returns:
        Its values, and where each of them stands.

    Raises:
        BlueprintError: It is too large or too deep, is no YAML, or uses what is refused here.
    """
    source = _decode(text, file)
    building = _Building(file)
    try:
        value = building.document(yaml.parse(source, Loader=_LOADER))
    except yaml.MarkedYAMLError as error:
        raise _syntax_error(error, source, file) from error
    return Document(file=file, value=value, lines=building.lines, blocks=building.blocks)


def _decode(text: str | bytes, file: str) -> str:
    """Check size and characters before any parser sees them."""

    def refuse(line: int | None, message: str, expected: str) -> BlueprintError:
        return BlueprintError(file=file, line=line, key=None, message=message, expected=expected)

    if len(text) > MAX_BYTES:
        raise refuse(None, _TOO_LARGE, "a smaller file")
    if isinstance(text, bytes):
        try:
            decoded = text.decode()
        except UnicodeDecodeError as error:
            line = error.object.count(b"\n", 0, error.start) + 1
            raise refuse(line, "the file is not UTF-8", "text in UTF-8") from error
    else:
        decoded = text
    decoded = decoded.removeprefix("\ufeff")
    bad = _UNREADABLE.search(decoded)
    if bad:
        line = decoded.count("\n", 0, bad.start()) + 1
        raise refuse(line, f"the character U+{ord(bad[0]):04X} is not allowed", "text without control characters")
    if len(decoded.encode()) > MAX_BYTES:
        raise refuse(None, _TOO_LARGE, "a smaller file")
    return decoded


def _syntax_error(error: yaml.MarkedYAMLError, source: str, file: str) -> BlueprintError:
    """Say in one line where the YAML breaks off, and name the commonest cause."""
    mark = error.problem_mark or error.context_mark
    number = None if mark is None else mark.line + 1
    message = f"the YAML cannot be read: {error.problem or error.context}"
    expected = "valid YAML"
    lines = source.splitlines()
    if number is not None and number <= len(lines):
        line = lines[number - 1]
        indent = line[: len(line) - len(line.lstrip())]
        if "\t" in indent:
            message, expected = "the line is indented with a tab", "spaces"
    return BlueprintError(file=file, line=number, key=None, message=message, expected=expected)


@dataclass
class _Building:
    """Builds plain values out of parser events, one document a time."""

    file: str
    lines: dict[KeyPath, int] = field(default_factory=dict)
    blocks: dict[KeyPath, int] = field(default_factory=dict)

    def document(self, events: Iterator[Any]) -> object:
        """Build the only document of a stream; None for an empty stream."""
        value: object = None
        documents = 0
        for event in events:
            if not isinstance(event, yaml.DocumentStartEvent):
                continue
            documents += 1
            if documents > 1:
                raise self._refuse(event, (), "the file holds a second document", "a single document")
            if event.version or event.tags:
                raise self._refuse(event, (), "the file has a YAML directive", "none")
            value = self._value(next(events), events, ())
        return value

    def _value(self, event: Any, events: Iterator[Any], path: KeyPath) -> object:  # noqa: ANN401 - PyYAML's events share no typed base
        if isinstance(event, yaml.AliasEvent) or event.anchor is not None:
            raise self._refuse(event, path, "uses an anchor or an alias", "the value written out")
        if event.tag is not None:
            raise self._refuse(event, path, f"uses the tag {event.tag[:60]!a}", "a value without a tag")
        self.lines.setdefault(path, event.start_mark.line + 1)
        if isinstance(event, yaml.ScalarEvent):
            return self._scalar(event, path)
        if len(path) >= MAX_DEPTH:
            raise self._refuse(event, path, f"is nested deeper than {MAX_DEPTH} levels", "a flatter file")
        if isinstance(event, yaml.SequenceStartEvent):
            return self._sequence(events, path)
        return self._mapping(events, path)

    def _sequence(self, events: Iterator[Any], path: KeyPath) -> list[object]:
        items: list[object] = []
        while not isinstance(event := next(events), yaml.SequenceEndEvent):
            items.append(self._value(event, events, (*path, len(items))))
        return items

    def _mapping(self, events: Iterator[Any], path: KeyPath) -> dict[str, object]:
        values: dict[str, object] = {}
        while not isinstance(event := next(events), yaml.MappingEndEvent):
            plain = isinstance(event, yaml.ScalarEvent) and event.anchor is None and event.tag is None
            if not plain:
                raise self._refuse(event, path, "has a key that is not plain text", "a name before the colon")
            key: str = event.value
            at = (*path, key)
            if key in values:
                raise self._refuse(event, at, f"is given twice, first in line {self.lines[at]}", "one value")
            self.lines[at] = event.start_mark.line + 1
            values[key] = self._value(next(events), events, at)
        return values

    def _scalar(self, event: Any, path: KeyPath) -> object:  # noqa: ANN401 - see _value
        text: str = event.value
        if not event.implicit[0]:
            if event.style == "|":
                self.blocks[path] = event.start_mark.line + 2
            if _UNREADABLE.search(text):
                raise self._refuse(event, path, "holds an escaped control character", "text without one")
            return text
        if text in _NULLS:
            return None
        if text in _TRUTHS:
            return _TRUTHS[text]
        if not _NUMBER.fullmatch(text):
            return text
        number = int(text) if _WHOLE.fullmatch(text) and len(text) <= _MAX_DIGITS else float(text)
        if len(text) > _MAX_DIGITS or not math.isfinite(number):
            raise self._refuse(event, path, "is a number out of any range", f"at most {_MAX_DIGITS} digits")
        return number

    def _refuse(self, event: Any, path: KeyPath, message: str, expected: str) -> BlueprintError:  # noqa: ANN401 - see _value
        line = event.start_mark.line + 1
        return BlueprintError(file=self.file, line=line, key=key_text(path) or None, message=message, expected=expected)
