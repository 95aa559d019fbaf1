"""Decisions of a person: approve, reject, retry and cancel, from every state."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from orchestrator.courier import CONTROL_QUEUE, DISPATCH, MERGE
from orchestrator.domain.review import Touched
from orchestrator.domain.rounds import PUBLISH, How
from orchestrator.domain.task import Cause, Feedback, Reason, ReasonCode, State, StepState
from orchestrator.errors import NotFoundError, TransitionError
from orchestrator.services import attempt
from orchestrator.services.decide import approve, cancel, reject, retry
from orchestrator.store import Wake
from tests.helpers.attempts import begin, claim, ended, fence_of, put, review, step, work
from tests.helpers.tasks import advance

if TYPE_CHECKING:
    from collections.abc import Callable

    from orchestrator.domain.task import Task
    from orchestrator.services.floor import Floor
    from tests.helpers.clocks import Clock
    from tests.helpers.couriers import MemoryCourier

DISPATCH_NOW = Wake(DISPATCH, (), CONTROL_QUEUE)
MERGE_NOW = Wake(MERGE, ("R1",), CONTROL_QUEUE)
HEAD, CHECKPOINT = "1" * 40, "refs/shopfloor/checkpoints/T1/1"

VERBS: dict[str, Callable[[Floor, str], Task]] = {
    "approve": lambda floor, task: approve(floor, task, who="ann"),
    "reject": lambda floor, task: reject(floor, task, "not like this", who="ann"),
    "retry": lambda floor, task: retry(floor, task, who="ann"),
    "cancel": lambda floor, task: cancel(floor, task, who="ann"),
}
OPEN = (State.WAITING, State.QUEUED, State.RUNNING, State.REVIEW, State.MERGING)
ALLOWED = {
    "approve": {State.REVIEW: State.MERGING},
    "reject": {State.REVIEW: State.QUEUED},
    "retry": {State.ESCALATED: State.QUEUED},
    "cancel": dict.fromkeys((*OPEN, State.ESCALATED), State.CANCELLED),
}


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("state", State)
def test_a_decision_is_taken_where_it_is_allowed_and_refused_elsewhere(floor: Floor, verb: str, state: State) -> None:
    task = put(floor, state)
    goal = ALLOWED[verb].get(state)
    if goal:
        after = VERBS[verb](floor, task.id)
        assert (after.state, after) == (goal, floor.store.task(task.id))
        assert floor.store.events()[-1].who == "ann"
        return
    seen = floor.store.last_seq()
    with pytest.raises(TransitionError, match=state.value):
        VERBS[verb](floor, task.id)
    assert (floor.store.task(task.id), floor.store.last_seq()) == (task, seen)


@pytest.mark.parametrize("verb", VERBS)
def test_a_decision_on_an_unknown_task_is_refused(floor: Floor, verb: str) -> None:
    with pytest.raises(NotFoundError, match="T404"):
        VERBS[verb](floor, "T404")


def test_an_approved_change_is_on_the_train_and_wakes_it(floor: Floor, courier: MemoryCourier, clock: Clock) -> None:
    task = approve(floor, review(floor).id, who="ann")
    assert (task.merging_at, task.reason and task.reason.code) == (clock(), ReasonCode.MERGE_QUEUE)
    assert courier.sent[-1] == MERGE_NOW


def test_a_rejected_change_goes_to_its_first_agent_with_the_words_as_feedback(
    floor: Floor, courier: MemoryCourier
) -> None:
    task = reject(floor, review(floor).id, "not like this", who="ann")
    assert (task.next_step, task.round, task.host) == ("edit", 2, None)
    assert task.feedback == Feedback(step="review", exit_code=None, log="not like this")
    assert task.reason == Reason(code=ReasonCode.REJECTED, text="rejected by ann: not like this")
    assert courier.sent[-1] == DISPATCH_NOW
    event = floor.store.events()[-1]
    assert (event.type, event.text) == (Cause.CHANGES_REQUESTED, "not like this")


def test_a_rejected_change_goes_on_from_its_work_and_keeps_its_branch(floor: Floor) -> None:
    before = review(floor)
    task = begin(floor, reject(floor, before.id, "not like this", who="ann").id)
    assert (task.head, task.branch, task.published_head) == (before.head, before.branch, before.head)


def test_a_change_rejected_in_its_last_round_is_escalated(floor: Floor) -> None:
    task = reject(floor, review(floor, rounds_max=1).id, "not like this", who="ann")
    assert task.state is State.ESCALATED
    assert task.reason == Reason(code=ReasonCode.REJECTED, text="rejected by ann: not like this")
    assert floor.store.holdings() == []


def test_a_retry_after_the_last_rejection_is_a_rework_with_the_words_as_feedback(floor: Floor) -> None:
    before = reject(floor, review(floor, rounds_max=1).id, "not like this", who="ann")
    task = retry(floor, before.id, who="ann")
    assert (task.next_step, task.head, task.round) == ("edit", before.head, 0)
    assert task.feedback is not None
    assert task.feedback.log == "not like this"


def test_a_retry_grants_what_was_used_up_anew_and_goes_on_where_it_stopped(floor: Floor, clock: Clock) -> None:
    task = claim(floor)
    task, _ = step(floor, task)
    task, _ = step(floor, task, ended(How.OVER_BUDGET, HEAD, checkpoint=CHECKPOINT, tokens=1200, minutes=25))
    assert (task.tokens.left, task.minutes.left) == (0, 0)
    clock.pass_by(minutes=5)
    again = retry(floor, task.id, who="ann")
    assert (again.tokens.left, again.minutes.left) == (1000, 20)
    assert (again.tokens.spent, again.minutes.spent) == (task.tokens.spent, task.minutes.spent)
    assert (again.head, again.checkpoint, again.base) == (HEAD, CHECKPOINT, task.base)
    assert (again.next_step, again.round, again.reworks) == ("edit", 0, 0)
    assert (again.reason, again.ended_at, again.queued_at) == (None, None, clock())


def test_a_retry_tells_the_agent_of_the_gate_that_failed_last(floor: Floor) -> None:
    task = claim(floor, rounds_max=1)
    for _ in ("setup", "edit", "polish"):
        task, _ = step(floor, task, ended(head=HEAD))
    task, _ = step(floor, task, ended(How.FAILED, HEAD, log="red"))
    assert task.reason is not None
    assert task.reason.code is ReasonCode.ROUNDS_EXHAUSTED
    again = begin(floor, retry(floor, task.id, who="ann").id)
    assert (again.round, again.next_step, again.feedback and again.feedback.log) == (1, "lint", "red")


def test_a_retry_after_a_violation_of_scope_starts_over(floor: Floor) -> None:
    task = work(floor, claim(floor), HEAD)
    assert attempt.inspected(floor, task.id, fence_of(task), [Touched("elsewhere", 1)]) is None
    again = retry(floor, task.id, who="ann")
    assert (again.base, again.head, again.checkpoint, again.next_step) == (None, None, None, "setup")


@pytest.mark.parametrize("code", [ReasonCode.DIFF_TOO_LARGE, ReasonCode.CONFLICT, ReasonCode.NO_CHANGES])
def test_a_retry_of_work_that_was_refused_starts_over(floor: Floor, code: ReasonCode) -> None:
    task = work(floor, claim(floor), HEAD)
    attempt.failed(floor, task.id, fence_of(task), Reason(code=code, text="no."))
    again = retry(floor, task.id, who="ann")
    assert (again.base, again.head, again.checkpoint, again.next_step) == (None, None, None, "setup")


def test_a_retry_for_a_reason_that_lies_outside_the_work_goes_on(floor: Floor) -> None:
    task = work(floor, claim(floor), HEAD)
    attempt.failed(floor, task.id, fence_of(task), Reason(code=ReasonCode.POLICY, text="no."))
    again = retry(floor, task.id, who="ann")
    assert (again.head, again.next_step) == (HEAD, PUBLISH)


def test_a_retry_forgets_the_failures_of_hosts(floor: Floor) -> None:
    task = claim(floor, infra_failures=5)
    attempt.gave_up(floor, task.id, fence_of(task), "the disk is full")
    again = retry(floor, task.id, who="ann")
    assert (again.infra_failures, again.retry_at, again.avoid_host) == (0, None, None)


@pytest.mark.parametrize("state", ALLOWED["cancel"])
def test_a_cancelled_task_holds_nothing_and_wakes_who_may_wait_for_it(
    floor: Floor, courier: MemoryCourier, state: State
) -> None:
    task = put(floor, state)
    after = cancel(floor, task.id, who="ann")
    assert (after.host, after.ended_at) == (None, floor.clock())
    assert after.reason == Reason(code=ReasonCode.CANCELLED, text="cancelled by ann.")
    assert (floor.store.holdings(), floor.store.busy()) == ([], {"h1": 0})
    assert courier.sent[-2:] == [DISPATCH_NOW, MERGE_NOW]


def test_a_task_that_is_cancelled_while_it_runs_leaves_no_step_running_and_tells_its_host(
    floor: Floor, monkeypatch: pytest.MonkeyPatch
) -> None:
    nudged: list[State] = []
    monkeypatch.setattr(floor.store, "nudge", lambda: nudged.append(floor.store.task("T1").state))
    task = claim(floor)
    attempt.step_started(floor, task.id, fence_of(task), 1, attempt.blueprint_of(floor, task).steps[0])
    after = cancel(floor, task.id, who="ann")
    assert [run.state for run in after.steps] == [StepState.STOPPED]
    assert floor.store.events()[-1].host == "h1"
    assert nudged == [State.CANCELLED]


def test_the_change_of_a_cancelled_task_is_closed_and_its_work_kept(floor: Floor) -> None:
    before = review(floor)
    task = cancel(floor, before.id, who="ann")
    assert task.change is not None
    assert (task.change.state, task.head, task.branch) == ("closed", before.head, before.branch)


def test_a_decision_that_was_overtaken_is_taken_on_what_is_now(floor: Floor) -> None:
    task = review(floor)
    tasks = floor.store.task
    overtaken: list[Task] = []

    def task_then_move(task_id: str) -> Task:
        found = tasks(task_id)
        if not overtaken:
            overtaken.append(advance(floor.store, found, Cause.CANCELLED, State.CANCELLED))
        return found

    floor.store.task = task_then_move  # type: ignore[method-assign]
    with pytest.raises(TransitionError, match="cancelled"):
        approve(floor, task.id, who="ann")
