"""Explanations: for a task in each state, the reason of the moment, what led to it, and what a person can do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from orchestrator.domain.halt import Reach
from orchestrator.domain.rounds import How
from orchestrator.domain.task import Feedback, Reason, ReasonCode, State
from orchestrator.domain.train import Candidate, Train
from orchestrator.errors import NotFoundError
from orchestrator.services.explain import explain
from orchestrator.services.halt import halt
from tests.helpers.attempts import claim, ended, enqueue, fence_of, put, step

if TYPE_CHECKING:
    from orchestrator.domain.task import Task
    from orchestrator.services.floor import Floor

BLOCKED = Reason(code=ReasonCode.LANDING_BLOCKED, text="a file is in the way.")


def why(floor: Floor, task: Task | str) -> tuple[ReasonCode, str]:
    reason = explain(floor, task if isinstance(task, str) else task.id).reason
    return reason.code, reason.text


def candidate_of(floor: Floor, task: Task) -> Candidate:
    now = floor.clock()
    return Candidate(task=task.id, fence=9, base="b", head=task.head or "", commit="c" * 40, built_at=now, asked_at=now)


def test_an_unknown_task_cannot_be_explained(floor: Floor) -> None:
    with pytest.raises(NotFoundError, match="T404"):
        explain(floor, "T404")


@pytest.mark.parametrize("state", State)
def test_every_state_has_a_reason_of_one_sentence(floor: Floor, state: State) -> None:
    enqueue(floor, id="T9", state=State.ESCALATED)
    task = put(floor, state, depends_on=("T9",) if state is State.WAITING else ())
    told = explain(floor, task.id)
    assert (told.id, told.state) == (task.id, state)
    assert told.reason.text.endswith(".")


def test_a_waiting_task_names_what_it_waits_for_and_where_that_is(floor: Floor) -> None:
    put(floor, State.MERGED, id="T7")
    put(floor, State.REVIEW, id="T8")
    enqueue(floor, id="T9", state=State.ESCALATED)
    task = enqueue(floor, state=State.WAITING, depends_on=("T7", "T8", "T9"))
    assert why(floor, task) == (
        ReasonCode.DEPENDENCY,
        "waits until what it depends on has landed: T8 (review), T9 (escalated).",
    )


def test_a_queued_task_names_the_one_that_holds_its_scope(floor: Floor) -> None:
    claim(floor, scope=("src",))
    assert why(floor, enqueue(floor, id="T2", scope=("src/a",))) == (
        ReasonCode.SCOPE_BUSY,
        "its scope src/a meets src, which is held by T1.",
    )


def test_a_queued_task_that_nothing_keeps_is_next(floor: Floor) -> None:
    assert why(floor, enqueue(floor)) == (ReasonCode.NEXT, "is placed on host h1 at the next dispatch.")


def test_a_queued_task_tells_the_halt_that_keeps_it_and_how_to_lift_it(floor: Floor) -> None:
    task = enqueue(floor)
    halt(floor, Reach.BLUEPRINT, "codemod", why="it eats files", who="ann")
    told = explain(floor, task.id)
    assert told.reason.code is ReasonCode.HALT
    assert "blueprint codemod was halted by ann" in told.reason.text
    assert "it eats files" in told.reason.text
    assert told.remedy == "Lift the halt with `shopfloor resume`."


def test_a_queued_task_tells_what_befell_it_before(floor: Floor) -> None:
    task = claim(floor)
    task, _ = step(floor, task, ended(How.BROKEN, why="the disk is full"))
    told = explain(floor, task.id)
    assert told.reason.code is ReasonCode.BACKOFF
    assert any("the disk is full" in line for line in told.history)


def test_a_running_task_tells_its_step_round_host_and_fence(floor: Floor) -> None:
    task, _ = step(floor, claim(floor))
    assert why(floor, task) == (
        ReasonCode.RUNNING,
        f"runs step edit of round 1/3 on host h1 under fence {fence_of(task)}.",
    )


def test_a_change_that_waits_for_a_person_says_what_to_do(floor: Floor) -> None:
    task = put(floor, State.REVIEW)
    told = explain(floor, task.id)
    assert told.reason.code is ReasonCode.AWAITING_APPROVAL
    assert "shopfloor approve T1" in told.remedy
    assert "shopfloor reject T1" in told.remedy


def test_an_escalated_task_keeps_its_reason_and_says_what_to_do(floor: Floor) -> None:
    task = put(floor, State.ESCALATED)
    told = explain(floor, task.id)
    assert told.reason.code is ReasonCode.BUDGET_EXCEEDED
    assert told.remedy == "Read `shopfloor logs T1`; then `shopfloor retry T1` or `shopfloor cancel T1`."


def test_a_task_that_left_its_scope_is_told_how_to_get_a_wider_one(floor: Floor) -> None:
    reason = Reason(code=ReasonCode.SCOPE_VIOLATION, text="the diff touches a.")
    assert "wider `--scope`" in explain(floor, enqueue(floor, state=State.ESCALATED, reason=reason).id).remedy


def test_a_task_that_waits_for_an_escalated_one_says_that_a_person_has_to_decide_about_that(floor: Floor) -> None:
    put(floor, State.REVIEW, id="T8")
    put(floor, State.ESCALATED, id="T9")
    task = enqueue(floor, state=State.WAITING, depends_on=("T8", "T9"))
    assert explain(floor, task.id).remedy == "T9 needs a person: see `shopfloor explain T9`."


@pytest.mark.parametrize(("code", "text"), [(1, "step review (exit code 1)"), (None, "step review")])
def test_the_last_failure_has_its_exit_code_only_where_there_was_one(floor: Floor, code: int | None, text: str) -> None:
    task = enqueue(floor, feedback=Feedback(step="review", exit_code=code, log=""))
    assert explain(floor, task.id).history == (f"the last failure was {text}",)


def test_the_first_on_the_train_is_next_and_the_others_name_who_is_ahead(floor: Floor) -> None:
    first, second = put(floor, State.MERGING), put(floor, State.MERGING, id="T2")
    put(floor, State.REVIEW, id="T3")
    assert why(floor, first) == (ReasonCode.MERGE_QUEUE, "is next on the merge train.")
    assert why(floor, second) == (ReasonCode.MERGE_QUEUE, "is number 2 on the merge train, behind T1.")


@pytest.mark.parametrize(("host", "text"), [(None, "waits for a host to verify it"), ("h2", "is verified on host h2")])
def test_a_candidate_tells_who_verifies_it(floor: Floor, host: str | None, text: str) -> None:
    task = put(floor, State.MERGING)
    candidate = candidate_of(floor, task).model_copy(update={"host": host})
    floor.store.commit_train(Train(repository="R1", target="main").noted(candidate))
    assert why(floor, task) == (ReasonCode.VERIFYING, f"its candidate cccccccccccc {text}.")


def test_a_landing_that_is_blocked_says_by_what_to_all_who_wait(floor: Floor) -> None:
    first, second = put(floor, State.MERGING), put(floor, State.MERGING, id="T2")
    floor.store.commit_train(Train(repository="R1", target="main").noted(candidate_of(floor, first), BLOCKED))
    assert why(floor, first) == (ReasonCode.LANDING_BLOCKED, "a file is in the way.")
    assert why(floor, second)[1] == "is number 2 on the merge train, behind T1. a file is in the way."


def test_a_train_that_is_stuck_without_a_candidate_says_why_to_the_first(floor: Floor) -> None:
    task = put(floor, State.MERGING)
    floor.store.commit_train(Train(repository="R1", target="main").noted(None, BLOCKED))
    assert why(floor, task) == (ReasonCode.LANDING_BLOCKED, "a file is in the way.")


def test_a_change_on_the_train_tells_of_a_halt(floor: Floor) -> None:
    task = put(floor, State.MERGING)
    halt(floor, Reach.REPOSITORY, "R1", why="a freeze", who="ann")
    assert why(floor, task)[0] is ReasonCode.HALT


def test_the_history_tells_attempts_reworks_and_the_last_failure(floor: Floor) -> None:
    task = claim(floor, attempt=1, reworks=2)
    for _ in ("setup", "edit", "polish"):
        task, _ = step(floor, task)
    task, _ = step(floor, task, ended(How.FAILED))
    assert explain(floor, task.id).history == (
        "2 attempts on hosts so far",
        "2 reworks after the merge train sent it back",
        "the last failure was step lint (exit code 1)",
    )
