"""A short chaos run: few tasks, one fault of each of the worst kinds, and the checker's word on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.chaos.checker import check
from tests.chaos.run import Run, Wanted

if TYPE_CHECKING:
    from pathlib import Path

FAULTS = ("agent", "host", "freeze", "redis_kill", "halt")


@pytest.mark.xdist_group("chaos")
def test_nothing_is_lost_and_nothing_doubled_under_faults(tmp_path: Path) -> None:
    wanted = Wanted(tasks=6, hosts=2, seed=7, faults=FAULTS, strikes=len(FAULTS), minutes=1.5, slots=2, seconds=1.5)
    Run(tmp_path / "run", wanted).go()
    table, violations = check(tmp_path / "run")
    assert violations == 0, f"seed {wanted.seed}:\n{table}"
