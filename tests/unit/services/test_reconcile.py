"""The reconciler: mends what was lost, and leaves alone what was not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from blueprints.model import Tier
from orchestrator.courier import CONTROL_QUEUE, DISPATCH, MERGE, PREPARE, VERIFY, VERIFY_QUEUE
from orchestrator.domain.fleet import RESERVE_AFTER
from orchestrator.domain.rounds import INFRA_FAILURES_MAX, How
from orchestrator.domain.task import Cause, Reason, ReasonCode, State, StepState
from orchestrator.domain.train import Candidate, Train
from orchestrator.services import attempt
from orchestrator.services.floor import Move
from orchestrator.services.reconcile import reconcile, unblock
from orchestrator.services.verify import verify_started
from orchestrator.store import HOST_LEASES, Wake
from tests.helpers.attempts import BLUEPRINT, begin, change_of, claim, ended, enqueue, fence_of, put, step, work
from tests.helpers.tasks import lease_of, make_host
from tests.unit.services.conftest import LEASE

if TYPE_CHECKING:
    from orchestrator.domain.task import Task
    from orchestrator.services.floor import Floor
    from tests.helpers.clocks import Clock
    from tests.helpers.couriers import MemoryCourier

EDIT = BLUEPRINT.step("edit")
HEAD, CHECKPOINT = "1" * 40, "refs/shopfloor/checkpoints/T1/1"


def code_of(task: Task) -> ReasonCode | None:
    return task.reason.code if task.reason else None


def landing(floor: Floor, task: Task) -> Move:
    return Move(task.moved(Cause.LANDED, State.MERGED, ended_at=floor.clock()), Cause.LANDED)


def verification(floor: Floor) -> Candidate:
    """A candidate that a host has taken for verification."""
    task = put(floor, State.MERGING)
    fence = floor.store.next_fence()
    candidate = Candidate(
        task=task.id,
        fence=fence,
        base="b",
        head=task.head or "",
        commit="c",
        built_at=floor.clock(),
        asked_at=floor.clock(),
    )
    floor.store.commit_train(Train(repository="R1", target="main").noted(candidate))
    taken = verify_started(floor, "R1", fence, "h2")
    assert taken is not None
    return taken[1]


def lose_host(floor: Floor, clock: Clock) -> None:
    """Let every lease of an attempt run out, the host's place on the list not."""
    clock.pass_by(LEASE + 1)
    reconcile(floor)


def test_an_attempt_whose_lease_ran_out_is_queued_again_with_its_checkpoint(floor: Floor, clock: Clock) -> None:
    task, _ = step(floor, claim(floor), ended(head=HEAD, checkpoint=CHECKPOINT))
    attempt.step_started(floor, task.id, fence_of(task), 1, EDIT)
    lose_host(floor, clock)
    after = floor.store.task(task.id)
    assert (after.state, after.host, code_of(after)) == (State.QUEUED, None, ReasonCode.HOST_LOST)
    assert (after.head, after.checkpoint, after.next_step, after.round) == (HEAD, CHECKPOINT, "edit", 1)
    assert [run.state for run in after.steps] == [StepState.PASSED, StepState.STOPPED]
    assert floor.store.busy() == {"h1": 0}
    late, _ = attempt.step_ended(floor, task.id, fence_of(task), EDIT, ended())
    assert late is None


def test_a_task_that_was_lost_goes_on_after_a_wait_under_a_new_fence(floor: Floor, clock: Clock) -> None:
    task = claim(floor)
    lose_host(floor, clock)
    assert floor.store.task(task.id).state is State.QUEUED
    clock.pass_by(1)
    again = begin(floor, task.id)
    assert (again.attempt, fence_of(again) > fence_of(task)) == (2, True)


def test_an_attempt_whose_lease_is_renewed_is_left_alone(floor: Floor, clock: Clock) -> None:
    task = claim(floor)
    for _ in range(5):
        clock.pass_by(LEASE - 1)
        floor.store.beat(make_host("h1"), [lease_of(task)], LEASE)
        reconcile(floor)
    assert floor.store.task(task.id) == task


def test_an_attempt_that_is_renewed_at_the_last_moment_is_left_alone(floor: Floor, clock: Clock) -> None:
    task = claim(floor)
    clock.pass_by(LEASE + 1)
    expired = floor.store.expired()
    floor.store.beat(make_host("h1"), [lease_of(task)], LEASE)
    floor.store.expired = lambda: expired  # type: ignore[method-assign]
    reconcile(floor)
    assert floor.store.task(task.id) == task


def test_an_attempt_that_ended_meanwhile_is_left_alone(floor: Floor, clock: Clock) -> None:
    task = claim(floor)
    clock.pass_by(LEASE + 1)
    expired = floor.store.expired()
    attempt.halted(floor, task.id, fence_of(task), "the fleet was halted")
    again = begin(floor, task.id)
    floor.store.expired = lambda: expired  # type: ignore[method-assign]
    reconcile(floor)
    assert floor.store.task(task.id) == again


def test_a_task_that_loses_every_host_is_escalated_in_the_end(floor: Floor, clock: Clock) -> None:
    task = claim(floor)
    for _ in range(INFRA_FAILURES_MAX):
        lose_host(floor, clock)
        clock.pass_by(minutes=2)
        task = begin(floor, task.id)
    lose_host(floor, clock)
    after = floor.store.task(task.id)
    assert (after.state, code_of(after)) == (State.ESCALATED, ReasonCode.INFRA_ERROR)
    assert floor.store.holdings() == []


def test_a_pass_that_finds_nothing_lost_changes_nothing(floor: Floor, courier: MemoryCourier) -> None:
    enqueue(floor, id="T99", state=State.ESCALATED)
    for number, state in enumerate((each for each in State if each is not State.QUEUED), start=1):
        put(floor, state, id=f"T{number}", depends_on=("T99",) if state is State.WAITING else ())
    tasks = {task.id: task for task in floor.store.tasks()}
    reconcile(floor)
    assert {ident: floor.store.task(ident) for ident in tasks} == tasks
    assert courier.sent[-1] == Wake(MERGE, ("R1",), CONTROL_QUEUE)


def test_queued_work_is_placed(floor: Floor) -> None:
    enqueue(floor)
    reconcile(floor)
    assert floor.store.task("T1").state is State.RUNNING


def test_a_wake_that_was_not_sent_is_sent_when_it_is_due_and_once(
    floor: Floor, courier: MemoryCourier, clock: Clock
) -> None:
    courier.reachable = False
    task = claim(floor)
    courier.reachable = True
    reconcile(floor)
    assert courier.sent == []
    clock.pass_by(LEASE - 1)
    floor.store.beat(make_host("h1"), [lease_of(task)], 600)
    clock.pass_by(60)
    reconcile(floor)
    reconcile(floor)
    assert courier.sent == [Wake(PREPARE, ("T1", fence_of(task)), "host.h1")]


def test_a_host_that_was_not_seen_for_long_is_struck_off(floor: Floor, clock: Clock) -> None:
    floor.store.beat(make_host("h2"), [], LEASE)
    clock.pass_by(HOST_LEASES * LEASE - 1)
    reconcile(floor)
    assert [host.name for host in floor.store.hosts()] == ["h1", "h2"]
    clock.pass_by(2)
    reconcile(floor)
    assert [host.name for host in floor.store.hosts()] == ["h1"]


def test_a_task_is_unblocked_when_the_last_that_it_depends_on_has_landed(floor: Floor, clock: Clock) -> None:
    put(floor, State.MERGED)
    second = put(floor, State.MERGING, id="T2")
    put(floor, State.WAITING, id="T3", depends_on=("T1", "T2"))
    assert unblock(floor, "T3") is None
    floor.write(second, landing(floor, second))
    clock.pass_by(1)
    reconcile(floor)
    task = floor.store.task("T3")
    assert (task.state, task.queued_at) == (State.RUNNING, clock())


def test_a_task_that_waits_for_a_cancelled_one_is_escalated(floor: Floor) -> None:
    put(floor, State.CANCELLED)
    put(floor, State.WAITING, id="T2", depends_on=("T1",))
    reconcile(floor)
    task = floor.store.task("T2")
    assert (task.state, code_of(task)) == (State.ESCALATED, ReasonCode.DEPENDENCY_CANCELLED)
    assert task.reason is not None
    assert task.reason.text == "depends on T1, which was cancelled."


@pytest.mark.parametrize("state", [state for state in State if state is not State.WAITING])
def test_only_a_waiting_task_is_unblocked(floor: Floor, state: State) -> None:
    task = put(floor, state)
    assert unblock(floor, task.id) is None
    assert floor.store.task(task.id) == task


def test_an_auto_change_whose_host_died_before_it_was_accepted_is_accepted(
    floor: Floor, courier: MemoryCourier
) -> None:
    task = work(floor, claim(floor), HEAD)
    change = change_of(task, Tier.AUTO)
    floor.write(task, Move(task.moved(Cause.PUBLISHED, State.REVIEW, change=change), Cause.PUBLISHED))
    reconcile(floor)
    after = floor.store.task(task.id)
    assert (after.state, floor.store.events()[-1].who) == (State.MERGING, "tier auto")
    assert Wake(MERGE, ("R1",), CONTROL_QUEUE) in courier.sent


def test_a_candidate_whose_host_was_lost_is_verified_by_another(
    floor: Floor, courier: MemoryCourier, clock: Clock
) -> None:
    taken = verification(floor)
    courier.sent.clear()
    clock.pass_by(LEASE + 1)
    reconcile(floor)
    candidate = floor.store.train(floor.store.repository("R1")).candidate
    assert candidate is not None
    assert (candidate.host, candidate.fence, candidate.verify_started_at) == (None, taken.fence, None)
    assert courier.sent[0] == Wake(VERIFY, ("R1", taken.fence), VERIFY_QUEUE)
    assert floor.store.expired() == []


def test_a_candidate_that_is_being_verified_is_left_alone(floor: Floor, clock: Clock) -> None:
    taken = verification(floor)
    clock.pass_by(LEASE - 1)
    reconcile(floor)
    assert floor.store.train(floor.store.repository("R1")).candidate == taken


def test_each_repository_with_changes_on_its_train_is_woken_once(floor: Floor, courier: MemoryCourier) -> None:
    for number in (1, 2):
        put(floor, State.MERGING, id=f"T{number}")
    put(floor, State.REVIEW, id="T3", repository="R2")
    courier.sent.clear()
    reconcile(floor)
    assert courier.sent == [Wake(MERGE, ("R1",), CONTROL_QUEUE)]


def test_work_that_was_halted_is_placed_when_it_is_looked_at_again(floor: Floor, clock: Clock) -> None:
    task, _ = step(floor, claim(floor), ended(How.HALTED))
    clock.pass_by(RESERVE_AFTER.total_seconds())
    reconcile(floor)
    assert floor.store.task(task.id).state is State.RUNNING


def test_a_dispatch_that_was_not_sent_is_sent(floor: Floor, courier: MemoryCourier, clock: Clock) -> None:
    courier.reachable = False
    task = claim(floor)
    attempt.failed(floor, task.id, fence_of(task), Reason(code=ReasonCode.POLICY, text="no."))
    courier.reachable = True
    clock.pass_by(31)
    reconcile(floor)
    assert Wake(DISPATCH, (), CONTROL_QUEUE) in courier.sent
    assert floor.store.due() == []
