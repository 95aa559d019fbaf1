"""What the tests of the supervisor share: processes that say who they are, and a look at what is left of them."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import psutil
import pytest

from orchestrator.config import inherited_environment
from orchestrator.supervision.child import Program
from tests.helpers.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_MARK = "FLOOR_TEST_MARK"  # not SHOPFLOOR_: such are not handed to Redis


@dataclass(frozen=True)
class Census:
    """Finds the processes that were started with a mark in their environment, and all that came of them.

    Attributes:
        mark: The mark; nobody else has it.
    """

    mark: str

    @property
    def environment(self) -> dict[str, str]:
        """What makes a process, and its descendants, be counted."""
        return {**inherited_environment(), _MARK: self.mark}

    def alive(self) -> list[psutil.Process]:
        """Every one that runs now."""
        found = []
        for each in psutil.process_iter():
            try:
                if each.status() != psutil.STATUS_ZOMBIE and each.environ().get(_MARK) == self.mark:
                    found.append(each)
            except (psutil.NoSuchProcess, psutil.AccessDenied):
                continue
        return found

    def nobody(self, seconds: float = 15.0) -> None:
        """Wait until none runs."""
        eventually(lambda: not self.alive(), f"the end of {self.alive()}", seconds)


@pytest.fixture
def census(tmp_path: Path) -> Iterator[Census]:
    """A census of the test's own; what is left at its end fails the test, and is killed by its number."""
    counted = Census(str(tmp_path))
    yield counted
    try:
        counted.nobody(5.0)
    except TimeoutError:
        left = counted.alive()
        for each in left:
            each.kill()
        raise


def script(name: str, text: str, census: Census, directory: Path, grace: float = 5.0) -> Program:
    """A program of a few lines of Python."""
    return Program(name, (sys.executable, "-I", "-S", "-c", text), census.environment, directory, grace=grace)
