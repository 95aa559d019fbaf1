"""Attempts: what a host may do to a task while it holds it, and that nobody else may."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from blueprints.model import Tier
from orchestrator.courier import CONTROL_QUEUE, DISPATCH, MERGE
from orchestrator.domain.review import Touched
from orchestrator.domain.rounds import PUBLISH, How, Onward
from orchestrator.domain.task import Cause, Note, Reason, ReasonCode, State, StepState
from orchestrator.services import attempt
from orchestrator.services.decide import reject
from orchestrator.store import Wake
from tests.helpers.attempts import (
    BASE,
    BLUEPRINT,
    begin,
    change_of,
    claim,
    ended,
    enqueue,
    fence_of,
    next_step,
    put,
    step,
    work,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from orchestrator.domain.task import Task
    from orchestrator.services.floor import Floor
    from tests.helpers.clocks import Clock
    from tests.helpers.couriers import MemoryCourier

HEAD = "1" * 40
WHY = Reason(code=ReasonCode.POLICY, text="the rules do not allow it.")
DISPATCH_NOW = Wake(DISPATCH, (), CONTROL_QUEUE)
SETUP, EDIT = BLUEPRINT.step("setup"), BLUEPRINT.step("edit")

VERBS: dict[str, Callable[[Floor, str, int], object]] = {
    "held": attempt.held,
    "started": lambda floor, task, fence: attempt.started(
        floor, task, fence, base=HEAD, head=HEAD, rules=HEAD, branch="b"
    ),
    "step_started": lambda floor, task, fence: attempt.step_started(floor, task, fence, 1, SETUP),
    "step_ended": lambda floor, task, fence: attempt.step_ended(floor, task, fence, SETUP, ended())[0],
    "inspected": lambda floor, task, fence: attempt.inspected(floor, task, fence, [Touched("x", 1)]),
    "published": lambda floor, task, fence: attempt.published(floor, task, fence, change_of(floor.store.task(task))),
    "failed": lambda floor, task, fence: attempt.failed(floor, task, fence, WHY),
    "gave_up": lambda floor, task, fence: attempt.gave_up(floor, task, fence, "the disk is full"),
    "halted": lambda floor, task, fence: attempt.halted(floor, task, fence, "the fleet was halted"),
}


def types(floor: Floor) -> list[str]:
    return [event.type for event in floor.store.events()]


def unchanged(floor: Floor, before: Task, seen: int, courier: MemoryCourier, sent: int) -> bool:
    return (floor.store.task(before.id), floor.store.last_seq(), len(courier.sent)) == (before, seen, sent)


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("stale", [-1, 1])
def test_a_stale_fence_changes_nothing(floor: Floor, courier: MemoryCourier, verb: str, stale: int) -> None:
    task = claim(floor)
    seen, sent = floor.store.last_seq(), len(courier.sent)
    assert VERBS[verb](floor, task.id, fence_of(task) + stale) is None
    assert unchanged(floor, task, seen, courier, sent)


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("state", [state for state in State if state is not State.RUNNING])
def test_an_attempt_that_is_over_can_do_nothing(floor: Floor, courier: MemoryCourier, verb: str, state: State) -> None:
    task = put(floor, state)
    seen, sent = floor.store.last_seq(), len(courier.sent)
    assert VERBS[verb](floor, task.id, task.fence or 1) is None
    assert unchanged(floor, task, seen, courier, sent)


def test_a_task_that_nobody_has_heard_of_is_not_held(floor: Floor) -> None:
    assert attempt.held(floor, "T404", 1) is None


@pytest.mark.parametrize("verb", ["failed", "gave_up", "halted"])
def test_giving_back_twice_is_giving_back_once(floor: Floor, courier: MemoryCourier, verb: str) -> None:
    task = claim(floor)
    assert VERBS[verb](floor, task.id, fence_of(task)) is not None
    after, seen, sent = floor.store.task(task.id), floor.store.last_seq(), len(courier.sent)
    assert VERBS[verb](floor, task.id, fence_of(task)) is None
    assert unchanged(floor, after, seen, courier, sent)


def test_a_start_notes_the_base_the_checkpoint_and_the_branch(floor: Floor) -> None:
    task = claim(floor)
    assert (task.base, task.head, task.branch) == (BASE, BASE, "shopfloor/T1-x")
    assert types(floor)[-1] == Note.STARTED


def test_a_start_told_again_while_steps_go_on_moves_nothing_back(floor: Floor, courier: MemoryCourier) -> None:
    task, _ = step(floor, claim(floor), ended(head=HEAD))
    seen, sent = floor.store.last_seq(), len(courier.sent)
    again = attempt.started(floor, task.id, fence_of(task), base=BASE, head=BASE, rules=BASE, branch="other")
    assert again == task
    assert unchanged(floor, task, seen, courier, sent)


def test_a_step_begins_once(floor: Floor) -> None:
    task = claim(floor)
    begun = attempt.step_started(floor, task.id, fence_of(task), 1, SETUP)
    assert begun is not None
    assert [(run.name, run.state, run.host) for run in begun.steps] == [("setup", StepState.RUNNING, "h1")]
    assert attempt.step_started(floor, task.id, fence_of(task), 1, SETUP) is None
    assert floor.store.task(task.id) == begun


def test_only_the_next_step_of_the_round_that_is_begins(floor: Floor) -> None:
    task, _ = step(floor, claim(floor))
    for round_number, name in ((1, "setup"), (1, "test"), (2, "edit"), (0, "edit")):
        which = BLUEPRINT.step(name)
        assert attempt.step_started(floor, task.id, fence_of(task), round_number, which) is None
    assert attempt.step_started(floor, task.id, fence_of(task), 1, EDIT) is not None


def test_an_end_told_twice_is_booked_once(floor: Floor) -> None:
    task, onward = step(floor, claim(floor))
    assert onward is Onward.NEXT
    assert attempt.step_ended(floor, task.id, fence_of(task), SETUP, ended()) == (None, Onward.STOP)
    assert floor.store.task(task.id) == task
    assert task.tokens.spent == 100


def test_a_step_that_did_not_begin_cannot_end(floor: Floor) -> None:
    task = claim(floor)
    assert attempt.step_ended(floor, task.id, fence_of(task), EDIT, ended()) == (None, Onward.STOP)
    assert floor.store.task(task.id) == task


def test_a_failed_gate_starts_another_round_and_keeps_slot_and_lease(floor: Floor) -> None:
    task = claim(floor)
    while next_step(task).name != "lint":
        task, _ = step(floor, task)
    task, onward = step(floor, task, ended(How.FAILED, log="red"))
    assert (onward, task.round, task.next_step, task.state) == (Onward.AGAIN, 2, "edit", State.RUNNING)
    assert floor.store.busy() == {"h1": 1}
    event = floor.store.events()[-1]
    assert (event.type, event.step, event.exit_code, event.round) == (Note.ROUND_STARTED, "lint", 1, 2)


@pytest.mark.parametrize("how", [How.HALTED, How.BROKEN, How.OVER_BUDGET])
def test_an_end_that_ends_the_attempt_gives_the_slot_back_and_wakes_dispatch(
    floor: Floor, courier: MemoryCourier, how: How
) -> None:
    task = claim(floor)
    courier.sent.clear()
    _, onward = step(floor, task, ended(how))
    assert onward is Onward.STOP
    assert floor.store.busy() == {"h1": 0}
    assert courier.sent == [DISPATCH_NOW]


def test_a_scope_is_kept_by_a_task_that_goes_back_and_given_back_by_one_that_is_escalated(floor: Floor) -> None:
    first, second = claim(floor), claim(floor, id="T2")
    attempt.halted(floor, first.id, fence_of(first), "the fleet was halted")
    attempt.failed(floor, second.id, fence_of(second), WHY)
    assert [held.task for held in floor.store.holdings()] == ["T1"]


def test_a_good_diff_is_of_the_tier_that_its_blueprint_asks_for(floor: Floor) -> None:
    task = work(floor, claim(floor), HEAD)
    assert attempt.inspected(floor, task.id, fence_of(task), [Touched("src/T1/a.py", 3)]) is Tier.AUTO
    assert floor.store.task(task.id) == task


def test_a_bad_diff_escalates_and_nothing_is_published(floor: Floor) -> None:
    task = work(floor, claim(floor), HEAD)
    assert attempt.inspected(floor, task.id, fence_of(task), [Touched("other", 3)]) is None
    after = floor.store.task(task.id)
    assert after.state is State.ESCALATED
    assert after.reason is not None
    assert after.reason.code is ReasonCode.SCOPE_VIOLATION
    assert attempt.published(floor, task.id, fence_of(task), change_of(task)) is None


def test_a_change_with_steps_still_ahead_is_neither_inspected_nor_published(floor: Floor) -> None:
    task, _ = step(floor, claim(floor))
    assert attempt.inspected(floor, task.id, fence_of(task), [Touched("src/T1/a.py", 3)]) is None
    assert attempt.published(floor, task.id, fence_of(task), change_of(task, Tier.AUTO)) is None
    assert floor.store.task(task.id) == task


def test_a_change_of_tier_human_waits_for_a_person(floor: Floor) -> None:
    task = work(floor, claim(floor), HEAD)
    after = attempt.published(floor, task.id, fence_of(task), change_of(task))
    assert after is not None
    assert (after.state, after.published_head, after.change_opened_at) == (State.REVIEW, HEAD, floor.clock())
    assert after.reason is not None
    assert after.reason.code is ReasonCode.AWAITING_APPROVAL
    assert floor.store.busy() == {"h1": 0}


def test_a_change_that_was_reworked_was_opened_when_it_was_opened_first(floor: Floor, clock: Clock) -> None:
    first = put(floor, State.REVIEW)
    clock.pass_by(minutes=5)
    task = work(floor, begin(floor, reject(floor, first.id, "not like this", who="ann").id), "2" * 40)
    again = attempt.published(floor, task.id, fence_of(task), change_of(task))
    assert again is not None
    assert (again.change_opened_at, again.published_head) == (first.change_opened_at, "2" * 40)


def test_a_change_of_tier_auto_is_on_the_train_at_once(floor: Floor, courier: MemoryCourier) -> None:
    task = work(floor, claim(floor), HEAD)
    after = attempt.published(floor, task.id, fence_of(task), change_of(task, Tier.AUTO))
    assert after == floor.store.task(task.id)
    assert after is not None
    assert (after.state, after.merging_at) == (State.MERGING, floor.clock())
    assert types(floor)[-2:] == [Cause.PUBLISHED, Cause.APPROVED]
    assert courier.sent[-2:] == [DISPATCH_NOW, Wake(MERGE, ("R1",), CONTROL_QUEUE)]


def test_a_change_that_a_person_has_to_see_is_not_accepted_by_itself(floor: Floor) -> None:
    task = put(floor, State.REVIEW)
    assert attempt.accept_auto(floor, task.id) is None
    assert floor.store.task(task.id) == task


def test_an_attempt_that_was_given_back_goes_on_from_its_checkpoint_under_a_new_fence(floor: Floor) -> None:
    task, _ = step(floor, claim(floor))
    task, _ = step(floor, task, ended(head=HEAD, checkpoint="refs/shopfloor/checkpoints/T1/1"))
    attempt.halted(floor, task.id, fence_of(task), "the fleet was halted")
    again = begin(floor, task.id)
    assert (again.head, again.next_step, again.round, again.attempt) == (HEAD, "polish", 1, 2)
    assert fence_of(again) > fence_of(task)
    assert work(floor, again).next_step == PUBLISH


def test_the_blueprint_of_a_task_is_the_one_that_it_was_submitted_under(floor: Floor) -> None:
    assert attempt.blueprint_of(floor, enqueue(floor)) == BLUEPRINT
