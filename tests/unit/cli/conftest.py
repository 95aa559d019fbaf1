"""A busy fleet to give commands to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from orchestrator.desks.direct import DirectDesk
from tests.helpers.floors import make_floor
from tests.unit.cli.cases import Shell
from tests.unit.cli.samples import busy_desk

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def shell(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Shell:
    return Shell(busy_desk(tmp_path), capsys)


@pytest.fixture
def quiet_shell(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Shell:
    """At the desk of a fleet that has a repository and a host, and no task."""
    return Shell(DirectDesk(make_floor(tmp_path), who="ann"), capsys)
