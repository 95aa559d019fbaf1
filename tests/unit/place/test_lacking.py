"""What a verify command cannot run without, as far as that shows before it is run."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from orchestrator.doctor import lacking_for

PYTHON = Path(sys.executable)
SEARCH_PATH = f"{PYTHON.parent}{os.pathsep}/usr/bin{os.pathsep}/bin"


@pytest.mark.parametrize(
    "command",
    [f"{PYTHON.name} -m pytest -q", f"{PYTHON.name} -c 1", "sh test.sh", "cd web && npm test", "CI=1 nope", "./nope"],
)
def test_nothing_is_said_of_what_is_there_or_cannot_be_looked_up(tmp_path: Path, command: str) -> None:
    assert lacking_for(command, tmp_path, SEARCH_PATH) is None


def test_a_module_of_the_repository_itself_is_there(tmp_path: Path) -> None:
    (tmp_path / "checks.py").write_text("")
    assert lacking_for(f"{PYTHON.name} -m checks", tmp_path, SEARCH_PATH) is None


@pytest.mark.parametrize(
    ("command", "named"), [("nope-9 test", "needs nope-9,"), (f"{PYTHON.name} -m nope_9", "needs nope_9,")]
)
def test_a_program_or_a_module_that_is_missing_is_named(tmp_path: Path, command: str, named: str) -> None:
    assert named in (lacking_for(command, tmp_path, SEARCH_PATH) or "")
