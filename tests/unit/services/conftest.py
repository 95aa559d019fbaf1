"""Floors for the services: one without any repository, and one over a real, small git repository."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from orchestrator.domain.repository import Repository
from orchestrator.errors import GitError
from orchestrator.forges.local import LocalForge
from orchestrator.mirror import Mirror
from orchestrator.services.floor import Floor
from orchestrator.stores.memory import MemoryStore
from tests.helpers.clocks import Clock
from tests.helpers.couriers import MemoryCourier
from tests.helpers.repositories import make_bare
from tests.helpers.tasks import make_host
from tests.unit.services.origin import FILES

if TYPE_CHECKING:
    from pathlib import Path

    from orchestrator.forge import Forge

LEASE = 20.0


@pytest.fixture
def clock() -> Clock:
    """The time of the floor and of its store."""
    return Clock()


@pytest.fixture
def courier() -> MemoryCourier:
    return MemoryCourier()


@pytest.fixture
def floor(clock: Clock, courier: MemoryCourier) -> Floor:
    """A floor with the repository R1, which nobody may look into, and one host with four slots."""
    store = MemoryStore(clock.seconds)
    store.add_repository(Repository(id="R1", name="web", url="file:///srv/R1", target="main"))
    store.beat(make_host("h1", started_at=clock(), seen_at=clock()), [], 1_000_000)
    return Floor(store, courier, clock, _closed_mirror, _closed_forge, LEASE)


@pytest.fixture(scope="session")
def origin_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bare repository with a policy and a few files, to be copied."""
    return make_bare(tmp_path_factory.mktemp("origin") / "web.git", FILES)


@pytest.fixture
def origin(origin_template: Path, tmp_path: Path) -> Path:
    """A bare repository of the test's own."""
    return shutil.copytree(origin_template, tmp_path / "web.git")


@pytest.fixture
def repository(origin: Path) -> Repository:
    return Repository(id="R1", name="web", url=str(origin), target="main")


@pytest.fixture
def git_floor(clock: Clock, courier: MemoryCourier, repository: Repository, tmp_path: Path) -> Floor:
    """The same floor over that repository, without a host."""
    store = MemoryStore(clock.seconds)
    store.add_repository(repository)
    mirror = Mirror(tmp_path / "mirrors" / "R1.git", repository.url)
    return Floor(store, courier, clock, lambda _: mirror, lambda _: LocalForge(), LEASE)


def _closed_mirror(repository: Repository) -> Mirror:
    raise GitError(f"{repository.url} cannot be reached.", "This test has no repository.")


def _closed_forge(repository: Repository) -> Forge:
    raise AssertionError(repository)
