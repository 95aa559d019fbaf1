"""The train: the order in which changes land, and its versions."""

from __future__ import annotations

from datetime import timedelta

from orchestrator.domain.task import Reason, ReasonCode, State
from orchestrator.domain.train import Candidate, Train, merge_order
from tests.helpers.tasks import NOW, make_task

CANDIDATE = Candidate(task="T1", fence=7, base="b", head="h", commit="c", built_at=NOW, asked_at=NOW)
BLOCKED = Reason(code=ReasonCode.LANDING_BLOCKED, text="a file is in the way.")


def test_changes_land_by_priority_then_by_the_time_of_approval_then_by_number() -> None:
    later = NOW + timedelta(minutes=1)
    tasks = [
        make_task(id="T10", state=State.MERGING, merging_at=NOW),
        make_task(id="T9", state=State.MERGING, merging_at=NOW),
        make_task(id="T1", state=State.MERGING, merging_at=later),
        make_task(id="T2", state=State.MERGING, merging_at=later, priority=0),
    ]
    assert [task.id for task in merge_order(tasks)] == ["T2", "T9", "T10", "T1"]
    assert merge_order(reversed(tasks)) == merge_order(tasks)


def test_a_task_without_a_time_of_approval_is_ordered_by_its_creation() -> None:
    old = make_task(id="T1", state=State.MERGING)
    new = make_task(id="T2", state=State.MERGING, merging_at=NOW + timedelta(hours=1))
    assert [task.id for task in merge_order([new, old])] == ["T1", "T2"]


def test_each_note_on_a_train_is_its_next_version_and_says_all_that_holds() -> None:
    train = Train(repository="R1", target="main")
    blocked = train.noted(CANDIDATE, BLOCKED)
    freed = blocked.noted(CANDIDATE)
    assert [each.version for each in (train, blocked, freed)] == [0, 1, 2]
    assert (blocked.candidate, blocked.blocked) == (CANDIDATE, BLOCKED)
    assert (freed.candidate, freed.blocked) == (CANDIDATE, None)
    assert freed.noted(None).candidate is None
