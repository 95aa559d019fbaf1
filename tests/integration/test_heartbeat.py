"""A host's heartbeat gives back what goes on no more, and leaves alone what does."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from orchestrator.config import settings
from orchestrator.domain.task import State
from tests.helpers.floors import make_floor, run
from tests.helpers.tasks import submit
from workers.heartbeat import Heartbeat
from workers.host import HostState, Underway, machine_seconds

if TYPE_CHECKING:
    from pathlib import Path

    from orchestrator.services.floor import Floor


@pytest.fixture
def floor(tmp_path: Path) -> Floor:
    return make_floor(tmp_path)


@pytest.fixture
def state(tmp_path: Path) -> HostState:
    return HostState(tmp_path / "state")


def _beat(floor: Floor, state: HostState) -> None:
    chosen = settings({"SHOPFLOOR_HOST": "h1", "SHOPFLOOR_SLOTS": "2", "HOME": str(state.root)})
    Heartbeat(floor, chosen, state).beat()


def _paused(floor: Floor, state: HostState) -> Underway:
    task = run(floor, submit(floor.store, repository="web-1").id)
    underway = Underway("task", task.id, task.fence or 0, "web-1", task.blueprint, None, None, 0.0)
    state.pause(underway)
    return underway


def test_an_attempt_between_two_steps_is_renewed(floor: Floor, state: HostState) -> None:
    underway = _paused(floor, state)
    _beat(floor, state)
    assert floor.store.task(underway.id).state is State.RUNNING
    assert state.underway()


def test_an_attempt_whose_next_step_does_not_begin_for_a_lease_is_given_back(
    floor: Floor, state: HostState, monkeypatch: pytest.MonkeyPatch
) -> None:
    underway = _paused(floor, state)
    later = machine_seconds() + floor.lease_seconds + 1
    monkeypatch.setattr("workers.heartbeat.machine_seconds", lambda: later)
    _beat(floor, state)
    task = floor.store.task(underway.id)
    assert (task.state, task.infra_failures) == (State.QUEUED, 1)
    assert task.reason is not None
    assert "message" in task.reason.text
    assert not state.underway()


def test_a_step_that_takes_longer_than_a_lease_is_renewed(
    floor: Floor, state: HostState, monkeypatch: pytest.MonkeyPatch
) -> None:
    underway = _paused(floor, state)
    state.begin(underway)
    later = machine_seconds() + 100 * floor.lease_seconds
    monkeypatch.setattr("workers.heartbeat.machine_seconds", lambda: later)
    _beat(floor, state)
    assert floor.store.task(underway.id).state is State.RUNNING
