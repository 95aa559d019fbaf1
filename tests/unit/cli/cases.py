"""Runs command lines in this process, at the desk of a fleet in memory."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from orchestrator.cli.desk import Access
from orchestrator.cli.main import run

if TYPE_CHECKING:
    import pytest

    from orchestrator.desk import Desk


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:  # noqa: ANN401 - whatever was printed
        """The one document on stdout."""
        return json.loads(self.out)


class Shell:
    """Gives command lines to one desk, outside of any checkout."""

    def __init__(self, desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
        self.desk = desk
        self._capsys = capsys

    def __call__(self, *arguments: str) -> Outcome:
        """Run one command line."""
        self._capsys.readouterr()
        code = run(list(arguments), Access(self.desk))
        out, err = self._capsys.readouterr()
        return Outcome(code, out, err)
