"""Dispatch: what is chosen is claimed, and wakes the host that it was placed on."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from orchestrator.courier import PREPARE
from orchestrator.domain.halt import Reach
from orchestrator.domain.task import Cause, Reason, ReasonCode, State
from orchestrator.services.dispatch import dispatch, plan
from orchestrator.services.halt import halt
from orchestrator.store import Wake
from tests.helpers.attempts import claim, enqueue
from tests.helpers.tasks import advance, make_host

if TYPE_CHECKING:
    from orchestrator.services.floor import Floor
    from tests.helpers.clocks import Clock
    from tests.helpers.couriers import MemoryCourier


def test_a_placed_task_is_claimed_under_a_new_fence_and_its_host_is_woken(
    floor: Floor, courier: MemoryCourier, clock: Clock
) -> None:
    enqueue(floor, reason=Reason(code=ReasonCode.HALTED, text="stopped."))
    clock.pass_by(minutes=1)
    assert dispatch(floor) == 1
    task = floor.store.task("T1")
    assert (task.state, task.host, task.attempt, task.round, task.reason) == (State.RUNNING, "h1", 1, 1, None)
    assert task.fence is not None
    assert task.started_at == task.attempt_started_at == clock()
    assert courier.sent == [Wake(PREPARE, ("T1", task.fence), "host.h1")]
    event = floor.store.events()[-1]
    assert (event.type, event.source, event.target, event.fence, event.host) == (
        Cause.CLAIMED,
        State.QUEUED,
        State.RUNNING,
        task.fence,
        "h1",
    )


def test_with_nothing_to_place_nothing_is_granted(floor: Floor, courier: MemoryCourier) -> None:
    assert dispatch(floor) == 0
    claim(floor)
    sent = len(courier.sent)
    assert dispatch(floor) == 0
    assert len(courier.sent) == sent


def test_a_wake_that_the_broker_did_not_take_is_kept_and_sent_later(
    floor: Floor, courier: MemoryCourier, clock: Clock
) -> None:
    courier.reachable = False
    enqueue(floor)
    assert dispatch(floor) == 1
    assert floor.store.task("T1").state is State.RUNNING
    clock.pass_by(minutes=1)
    assert [(wake.name, wake.queue) for wake in floor.store.due()] == [(PREPARE, "host.h1")]


def test_a_wake_that_the_broker_took_is_off_the_outbox(floor: Floor, clock: Clock) -> None:
    claim(floor)
    clock.pass_by(minutes=1)
    assert floor.store.due() == []


def test_a_later_attempt_keeps_the_round_and_when_the_work_began(floor: Floor, clock: Clock) -> None:
    task = claim(floor)
    advance(floor.store, task, Cause.HALTED, State.QUEUED, round=2, host=None)
    clock.pass_by(minutes=1)
    assert dispatch(floor) == 1
    again = floor.store.task("T1")
    assert (again.round, again.attempt, again.started_at) == (2, 2, task.started_at)
    assert again.attempt_started_at == clock()
    assert (again.fence or 0) > (task.fence or 0)


def test_a_plan_that_is_out_of_date_grants_nothing(floor: Floor, courier: MemoryCourier) -> None:
    enqueue(floor)
    placements = plan(floor).placements
    assert [task.id for task, _ in placements] == ["T1"]
    floor.store.remove_host("h1")
    stale = floor.store.hosts
    floor.store.hosts = lambda: [placements[0][1]]  # type: ignore[method-assign]
    try:
        assert dispatch(floor) == 0
    finally:
        floor.store.hosts = stale  # type: ignore[method-assign]
    assert floor.store.task("T1").state is State.QUEUED
    assert courier.sent == []


def test_many_dispatches_at_once_grant_each_task_once_and_no_more_than_the_slots(floor: Floor) -> None:
    for number in range(1, 13):
        enqueue(floor, id=f"T{number}", scope=(f"src/{number // 2}",))
    with ThreadPoolExecutor(8) as pool:
        granted = list(pool.map(lambda _: dispatch(floor), range(8)))
    running = floor.store.tasks([State.RUNNING])
    assert sum(granted) == len(running) == 4
    assert len({task.scope for task in running}) == 4
    assert floor.store.busy() == {"h1": 4}


def test_nothing_is_claimed_during_a_halt(floor: Floor) -> None:
    enqueue(floor)
    halt(floor, Reach.FLEET, "", why="a test", who="ann")
    assert dispatch(floor) == 0
    assert floor.store.task("T1").state is State.QUEUED


def test_each_host_is_woken_on_its_own_queue(floor: Floor, courier: MemoryCourier) -> None:
    floor.store.beat(make_host("h2", slots=4), [], 1_000_000)
    for number in (1, 2):
        enqueue(floor, id=f"T{number}")
    assert dispatch(floor) == 2
    assert sorted(wake.queue for wake in courier.sent) == ["host.h1", "host.h2"]
