"""A retry reads the rules anew, and asks again what it depends on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from orchestrator.domain.rounds import escalated
from orchestrator.domain.task import Cause, Reason, ReasonCode, State
from orchestrator.errors import InputError
from orchestrator.services.decide import cancel, retry
from orchestrator.services.floor import Move
from orchestrator.services.submit import Submission, submit
from tests.helpers.attempts import enqueue
from tests.helpers.repositories import commit_bare
from tests.unit.services.origin import EDIT

if TYPE_CHECKING:
    from pathlib import Path

    from orchestrator.domain.task import Task
    from orchestrator.services.floor import Floor

REASON = Reason(code=ReasonCode.POLICY, text="no.")


def test_a_retry_follows_the_blueprint_as_it_was_mended_on_the_target(git_floor: Floor, origin: Path) -> None:
    task = submitted(git_floor)
    commit_bare(origin, {".shopfloor/blueprints/edit.yaml": EDIT.replace("rounds: 2", "rounds: 9")}, "mend")
    git_floor.write(task, Move(escalated(task, REASON, git_floor.clock()), Cause.ESCALATED))
    assert retry(git_floor, task.id, who="ann").rounds_max == 9


def test_a_retry_whose_step_is_gone_from_the_blueprint_begins_at_the_first(git_floor: Floor, origin: Path) -> None:
    task = submitted(git_floor)
    commit_bare(origin, {".shopfloor/blueprints/edit.yaml": EDIT.replace("name: setup", "name: begin")}, "mend")
    git_floor.write(task, Move(escalated(task, REASON, git_floor.clock()), Cause.ESCALATED))
    assert (task.next_step, retry(git_floor, task.id, who="ann").next_step) == ("setup", "begin")


def test_a_retry_is_refused_while_the_rules_on_the_target_cannot_be_used(git_floor: Floor, origin: Path) -> None:
    task = submitted(git_floor)
    commit_bare(origin, {".shopfloor/repo.yaml": "version: 7\n"}, "break")
    git_floor.write(task, Move(escalated(task, REASON, git_floor.clock()), Cause.ESCALATED))
    with pytest.raises(InputError, match=r"repo\.yaml"):
        retry(git_floor, task.id, who="ann")


def test_a_retry_waits_for_what_has_not_landed_and_no_longer_for_what_was_cancelled(floor: Floor) -> None:
    gone, ahead = enqueue(floor, id="T7"), enqueue(floor, id="T8")
    cancel(floor, gone.id, who="ann")
    task = enqueue(floor, id="T9", state=State.WAITING, depends_on=(gone.id, ahead.id))
    floor.write(task, Move(escalated(task, REASON, floor.clock()), Cause.ESCALATED))
    again = retry(floor, task.id, who="ann")
    assert (again.state, again.depends_on) == (State.WAITING, (ahead.id,))


def submitted(floor: Floor) -> Task:
    repository = floor.store.repositories()[0]
    return submit(floor, repository, [Submission(title="edit a file", blueprint="edit")], who="ann")[0]
