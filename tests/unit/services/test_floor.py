"""The floor: the one way to change a task, whoever else changes it, and the wakes that follow."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from orchestrator.courier import CONTROL_QUEUE, DISPATCH
from orchestrator.domain.task import Cause, Note, State
from orchestrator.errors import StaleError
from orchestrator.services.floor import Move
from orchestrator.store import Wake
from tests.helpers.attempts import claim, enqueue
from tests.helpers.tasks import moved, noted

if TYPE_CHECKING:
    from orchestrator.domain.task import Task
    from orchestrator.services.floor import Floor
    from tests.helpers.clocks import Clock
    from tests.helpers.couriers import MemoryCourier

WAKE = Wake(DISPATCH, (), CONTROL_QUEUE)


def counted(task: Task) -> Move:
    """One more rework."""
    return Move(task.noted(reworks=task.reworks + 1), Note.STARTED, (WAKE,))


def test_a_change_is_decided_anew_where_somebody_else_moved_first(floor: Floor) -> None:
    task = enqueue(floor)
    overtaking = [noted(task, Note.STARTED, reworks=10)]

    def decide(seen: Task) -> Move:
        if overtaking:
            floor.store.commit(overtaking.pop())
        return counted(seen)

    assert floor.decide(task.id, decide).reworks == 11


def test_changes_by_many_at_once_are_all_made(floor: Floor) -> None:
    task = enqueue(floor)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: floor.decide(task.id, counted), range(16)))
    assert floor.store.task(task.id).reworks == 16


def test_a_change_that_is_overtaken_again_and_again_is_given_up_with_a_remedy(floor: Floor) -> None:
    task = enqueue(floor)

    def decide(seen: Task) -> Move:
        floor.store.commit(noted(seen, Note.STARTED))
        return counted(seen)

    with pytest.raises(StaleError, match=r"T1 changed 20 times.*Repeat the command"):
        floor.decide(task.id, decide)
    assert floor.store.task(task.id).reworks == 0


def test_a_decision_to_change_nothing_writes_and_sends_nothing(floor: Floor, courier: MemoryCourier) -> None:
    task = enqueue(floor)
    assert floor.change(task.id, lambda _: None) is None
    assert (floor.store.task(task.id), floor.store.last_seq(), courier.sent) == (task, 1, [])


def test_a_move_that_was_decided_on_an_older_version_is_refused_and_sends_nothing(
    floor: Floor, courier: MemoryCourier
) -> None:
    task = enqueue(floor)
    floor.store.commit(noted(task, Note.STARTED))
    with pytest.raises(StaleError):
        floor.write(task, counted(task))
    assert courier.sent == []


def test_a_wake_that_is_to_wait_stays_in_the_outbox_until_its_time(
    floor: Floor, courier: MemoryCourier, clock: Clock
) -> None:
    task = enqueue(floor)
    later = Wake(DISPATCH, (), CONTROL_QUEUE, delay=5)
    floor.write(task, Move(task.noted(), Note.STARTED, (later,)))
    assert (courier.sent, floor.store.due()) == ([], [])
    clock.pass_by(6)
    assert floor.store.due() == [WAKE]


def test_the_event_of_a_move_tells_from_where_to_where_and_why(floor: Floor) -> None:
    task = claim(floor)
    commit = moved(task, Cause.HALTED, State.QUEUED, host=None)
    event = floor.event(task, Move(commit.after, Cause.HALTED, who="ann", text="stopped"))
    assert (event.source, event.target, event.type, event.who) == (State.RUNNING, State.QUEUED, "halted", "ann")
    assert (event.host, event.fence, event.round, event.repository) == ("h1", task.fence, 1, "R1")


def test_the_event_of_a_note_names_no_state(floor: Floor) -> None:
    task = claim(floor)
    event = floor.event(task, Move(task.noted(), Note.STEP_STARTED, step="edit"))
    assert (event.source, event.target, event.reason, event.step) == (None, None, None, "edit")
