"""Reads the JSON-lines file in which an agent reports its usage, while the agent may be writing it."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from workers.agent import Usage

if TYPE_CHECKING:
    from pathlib import Path

_MOST_TOKENS = 1_000_000_000  # in one report
_MOST_USD = 100_000.0
_LINE_BYTES = 64 * 1024
_CHUNK_BYTES = 256 * 1024
_FILE_BYTES = 16 * 1024 * 1024  # a quarter of a million reports; whoever writes more is not reporting

_Tokens = Annotated[int, Field(ge=0, le=_MOST_TOKENS)]


class _Report(BaseModel):
    """One line. Further keys are let pass, so that an agent can write out its provider's whole record."""

    model_config = ConfigDict(strict=True)

    input_tokens: _Tokens = 0
    output_tokens: _Tokens = 0
    cost_usd: Annotated[float, Field(ge=0, le=_MOST_USD, allow_inf_nan=False)] = 0.0

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not self.model_fields_set:
            raise ValueError("names none of input_tokens, output_tokens and cost_usd")
        return self


class UsageFile:
    """The sum of all reports in a file that grows.

    Each line is read once, by its offset. A file that shrank or was replaced is read from its start, and adds to what
    was reported before: usage never goes down. The file is the agent's, so it is trusted in nothing: a link, a device
    or a pipe in its place is not followed, a line of any length costs bounded memory.

    Args:
        path: The file; it need not exist.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._usage = Usage()
        self._inode = 0
        self._offset = 0
        self._taken = 0
        self._partial = b""
        self._overlong = False

    def read(self, *, ended: bool = False) -> Usage:
        """Reads what is new, and returns the sum of everything so far.

        Args:
            ended: Nobody writes any more, so a last line without a line break is a line.
        """
        try:
            file = os.open(self._path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            return self._usage  # none yet, or nothing that can be read: no report
        try:
            if stat.S_ISREG(os.fstat(file).st_mode):
                self._read_on(file)
        finally:
            os.close(file)
        if ended:
            self._take(b"\n")
        return self._usage

    def _read_on(self, file: int) -> None:
        status = os.fstat(file)
        if status.st_ino != self._inode or status.st_size < self._offset:
            self._inode, self._offset, self._partial, self._overlong = status.st_ino, 0, b"", False
        while self._taken < _FILE_BYTES and (chunk := os.pread(file, _CHUNK_BYTES, self._offset)):
            self._offset += len(chunk)
            self._taken += len(chunk)
            self._take(chunk)

    def _take(self, chunk: bytes) -> None:
        *lines, rest = chunk.split(b"\n")
        for line in lines:
            self._count(self._partial + line)
            self._partial, self._overlong = b"", False
        self._partial += rest
        if len(self._partial) > _LINE_BYTES:
            self._partial, self._overlong = b"", True

    def _count(self, line: bytes) -> None:
        if not line.strip() and not self._overlong:
            return
        self._usage += _parse(b"" if self._overlong or len(line) > _LINE_BYTES else line)


def _parse(line: bytes) -> Usage:
    try:
        report = _Report.model_validate_json(line)
    except ValidationError:
        return Usage(refused=1)
    return Usage(report.input_tokens, report.output_tokens, report.cost_usd)
