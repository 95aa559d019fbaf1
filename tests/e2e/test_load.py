"""A host with more to do than it has processes for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from orchestrator.domain.task import Cause, Note
from tests.e2e.project import Project
from tests.helpers.fleet import Fleet

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.xdist_group("own")


def test_long_verifications_keep_no_attempt_from_its_process(tmp_path: Path) -> None:
    """Three repositories verify at once on a host of one slot; an attempt there still gets its turn."""
    fleet = Fleet(tmp_path, slots=1, environment={"SHOPFLOOR_LEASE_SECONDS": "2"})
    try:
        fleet.start()
        projects = [Project(fleet, tmp_path / name, name) for name in ("one", "two", "three")]
        for project in projects:
            project.commit(project.rules(verify=project.until("go")))
        tasks = [project.submit("echo x > a.txt") for project in projects]
        for task in tasks:
            fleet.event(task, Note.CANDIDATE_BUILT)
        free = Project(fleet, tmp_path / "free", "free")
        landed = fleet.event(free.submit("echo x > a.txt"), Cause.PUBLISHED)
        assert [each.type for each in fleet.events(str(landed.task))].count(Cause.CLAIMED) == 1
        for project in projects:
            project.tell("go")
        for project, task in zip(projects, tasks, strict=True):
            project.landed(task)
        free.landed(fleet.floor.store.task(str(landed.task)))
    finally:
        fleet.kill()
