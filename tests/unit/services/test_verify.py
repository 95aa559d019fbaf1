"""Asking for verification: hosts that had no time are asked again, and nothing that is taken is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from orchestrator.courier import VERIFY, VERIFY_QUEUE
from orchestrator.domain.train import Verdict
from orchestrator.services.verify import ask_for_waiting, postponed, verify_ended, verify_started
from orchestrator.store import Wake
from tests.unit.services.yard import Yard

if TYPE_CHECKING:
    from pathlib import Path

    from orchestrator.services.floor import Floor
    from tests.helpers.clocks import Clock
    from tests.helpers.couriers import MemoryCourier


@pytest.fixture
def yard(git_floor: Floor, origin: Path, tmp_path: Path, courier: MemoryCourier) -> Yard:
    """A train whose candidate waits for a host; what was sent until then is forgotten."""
    yard = Yard(git_floor, origin, tmp_path)
    yard.approved(1, {"src/a.txt": "two\n"})
    yard.merge()
    courier.sent.clear()
    return yard


def asked(yard: Yard) -> list[Wake]:
    return [Wake(VERIFY, ("R1", yard.candidate.fence), VERIFY_QUEUE)]


def test_a_candidate_that_no_host_has_taken_is_asked_for(yard: Yard, courier: MemoryCourier) -> None:
    ask_for_waiting(yard.floor)
    assert courier.sent == asked(yard)


def test_a_candidate_that_a_host_has_taken_is_not_asked_for(yard: Yard, courier: MemoryCourier) -> None:
    verify_started(yard.floor, "R1", yard.candidate.fence, "h1")
    train = yard.train
    postponed(yard.floor, "R1", yard.candidate.fence)
    ask_for_waiting(yard.floor)
    assert (courier.sent, yard.train) == ([], train)


def test_a_candidate_that_is_judged_is_not_asked_for(yard: Yard, courier: MemoryCourier) -> None:
    yard.gate.blocked = "a file is in the way."
    verify_ended(yard.floor, "R1", yard.candidate.fence, 0, "")
    assert yard.candidate.verdict is Verdict.PASSED
    ask_for_waiting(yard.floor)
    assert courier.sent == []


def test_a_train_without_a_change_is_not_asked_for(git_floor: Floor, courier: MemoryCourier) -> None:
    ask_for_waiting(git_floor)
    assert courier.sent == []


def test_a_host_without_time_has_the_others_asked_soon(yard: Yard, courier: MemoryCourier, clock: Clock) -> None:
    postponed(yard.floor, "R1", yard.candidate.fence)
    yard.merge()
    assert courier.sent == []
    clock.pass_by(6)
    yard.merge()
    assert courier.sent == asked(yard)


def test_a_word_on_an_earlier_candidate_changes_nothing(yard: Yard) -> None:
    train = yard.train
    postponed(yard.floor, "R1", yard.candidate.fence - 1)
    assert yard.train == train
