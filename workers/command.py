"""One command to run: what a step comes down to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Command:
    """One thing to run.

    Attributes:
        argv: Program and arguments; a program without a slash is looked up on the PATH in `env`, a relative one in
            `cwd`.
        cwd: Working directory.
        env: The whole environment; nothing is inherited.
        stdin: What it can read on standard input.
        seconds: The most it may take, by the wall clock.
    """

    argv: tuple[str, ...]
    cwd: Path
    env: Mapping[str, str]
    stdin: bytes = b""
    seconds: float
