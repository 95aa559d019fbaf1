"""`approve`, `reject`, `retry`, `cancel`."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.unit.cli.cases import Shell


def test_a_change_is_approved(shell: Shell) -> None:
    done = shell("approve", "t5")
    assert (done.code, done.out) == (0, "T5  ▲ merging  Drop support for Python 3.10\n")


def test_a_decision_that_the_state_does_not_allow_is_exit_1(shell: Shell) -> None:
    done = shell("approve", "T7", "--json")
    assert (done.code, done.out) == (1, "")
    assert len(done.err.splitlines()) == 2


def test_several_tasks_are_decided_whatever_becomes_of_the_others(shell: Shell) -> None:
    done = shell("cancel", "T7", "T99", "T1", "T8", "--json")
    assert done.code == 2
    assert [(task["id"], task["state"]) for task in done.json] == [("T7", "cancelled"), ("T8", "cancelled")]
    assert "'T99'" in done.err
    assert "merged" in done.err


def test_one_task_is_one_object(shell: Shell) -> None:
    assert shell("cancel", "T7", "--json").json["state"] == "cancelled"


def test_an_escalated_task_gets_another_try(shell: Shell) -> None:
    assert shell("retry", "T2").out == "T2  ○ queued  Upgrade the parser to 4.0\n"


def test_a_rejection_goes_back_with_its_reason(shell: Shell) -> None:
    done = shell("reject", "T5", "--why", " Keep 3.10. ", "--json").json
    assert (done["state"], done["feedback"]["log"]) == ("queued", "Keep 3.10.")


def test_a_rejection_needs_a_reason(shell: Shell) -> None:
    assert shell("reject", "T5", "--why", "  ").code == 2
