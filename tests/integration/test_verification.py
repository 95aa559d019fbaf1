"""A message that asks for a verification, and the messages that it causes."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest

from orchestrator.bootstrap import utc_now
from orchestrator.config import settings
from orchestrator.domain.halt import Reach
from orchestrator.domain.task import Cause, State
from orchestrator.domain.train import Candidate, Verdict
from orchestrator.services.halt import halt
from tests.helpers.floors import make_floor, publish
from tests.helpers.tasks import advance, submit
from workers.host import HostState
from workers.sandboxes.none import Unconfined
from workers.station import Station
from workers.verification import verify
from workers.workspaces.worktree import WorktreeWorkspaces

if TYPE_CHECKING:
    from pathlib import Path

    from tests.helpers.couriers import MemoryCourier


@pytest.fixture
def station(tmp_path: Path) -> Station:
    state = HostState(tmp_path / "state")
    chosen = settings({"SHOPFLOOR_HOST": "h1", "HOME": str(tmp_path)})
    return Station(make_floor(tmp_path), chosen, state, WorktreeWorkspaces(state.workspaces), Unconfined())


def _waiting_candidate(station: Station) -> None:
    floor = station.floor
    task = publish(floor, submit(floor.store, repository="web-1").id)
    task = advance(floor.store, task, Cause.APPROVED, State.MERGING)
    candidate = Candidate(
        task=task.id,
        fence=7,
        base="0" * 40,
        head="1" * 40,
        commit="2" * 40,
        verdict=Verdict.PENDING,
        built_at=utc_now(),
        asked_at=utc_now(),
    )
    train = floor.store.train(floor.store.repository("web-1"))
    floor.store.commit_train(train.noted(candidate))


@pytest.mark.parametrize("fence", [7, 6])
def test_a_message_that_leads_to_no_verification_causes_no_other(station: Station, fence: int) -> None:
    """Else each would be answered by one for every waiting candidate, and those by as many again."""
    _waiting_candidate(station)
    halt(station.floor, Reach.FLEET, "", why="drill", who="ann")
    sent = cast("MemoryCourier", station.floor.courier).sent
    before = list(sent)
    verify(station, "web-1", fence)
    assert sent == before
