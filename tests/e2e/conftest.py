"""The fleets that end-to-end tests run on, and repositories on their floors."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest

from tests.e2e.project import Project
from tests.helpers.fleet import Fleet

if TYPE_CHECKING:
    from pathlib import Path

MakeProject = Callable[..., Project]


@pytest.fixture(scope="session")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """One fleet for all tests that break nothing; each works on a repository of its own."""
    started = Fleet(tmp_path_factory.mktemp("fleet"))
    try:
        yield started.start()
    finally:
        started.kill()


@pytest.fixture
def make_project(fleet: Fleet, tmp_path: Path) -> MakeProject:
    """Make a repository on the shared fleet's floor."""
    return _maker(fleet, tmp_path)


@pytest.fixture(scope="session")
def _own_fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    started = Fleet(tmp_path_factory.mktemp("own"), environment={"SHOPFLOOR_LEASE_SECONDS": "3"})
    try:
        yield started.start()
    finally:
        started.kill()


@pytest.fixture
def own_fleet(_own_fleet: Fleet) -> Fleet:
    """A fleet to kill parts of, whose leases last 3 seconds; what an earlier test has killed is started again."""
    _own_fleet.mend()
    return _own_fleet


@pytest.fixture
def own_project(own_fleet: Fleet, tmp_path: Path) -> MakeProject:
    """Make a repository on the floor of the fleet that may be broken."""
    return _maker(own_fleet, tmp_path)


def _maker(fleet: Fleet, directory: Path) -> MakeProject:
    def make(**parts: object) -> Project:
        name = f"r{uuid.uuid4().hex[:8]}"
        return Project(fleet, directory / name, name, **parts)  # type: ignore[arg-type]  # its own signature says which

    return make
