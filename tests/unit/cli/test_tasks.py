"""`tasks`, `show`, `explain`, `logs`, `events`: what a person and a program are told of tasks."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from orchestrator.bootstrap import utc_now
from orchestrator.desks.direct import DirectDesk
from orchestrator.domain.task import Cause, State
from orchestrator.store import LogChunk
from orchestrator.stores.memory import MemoryStore
from orchestrator.views import event_view, task_view
from tests.helpers.tasks import advance, cancelled, submit

if TYPE_CHECKING:
    from tests.unit.cli.cases import Shell


def test_tasks_are_listed_oldest_first_with_why_they_are_where_they_are(shell: Shell) -> None:
    done = shell("tasks")
    lines = done.out.splitlines()
    assert (done.code, done.err) == (0, "")
    assert [each.split()[0] for each in lines] == ["ID", *(f"T{number}" for number in range(1, 9))]
    assert "Rename Client.fetch to Client.get everywhere" in done.out
    assert "step test failed in round 3 of 3" in done.out
    assert "test on builder-1" in done.out


def test_tasks_as_json_are_brief(shell: Shell) -> None:
    done = shell("tasks", "--json").json
    assert done == [task_view(task, brief=True) for task in shell.desk.tasks()]
    assert not {"body", "steps"} & set(done[0])


def test_tasks_can_be_picked_by_state_in_any_case(shell: Shell) -> None:
    done = shell("tasks", "--state", "REVIEW", "--state", "merging", "--json")
    assert [task["id"] for task in done.json] == ["T5", "T6"]


def test_what_ended_long_ago_is_listed_when_asked_for(quiet_shell: Shell) -> None:
    store = _store(quiet_shell)
    store.commit(cancelled(submit(store, repository="web-1")))
    assert "`shopfloor tasks --all` lists 1" in quiet_shell("tasks").err
    assert quiet_shell("tasks", "--json").json == []
    assert "T1" in quiet_shell("tasks", "--all").out
    assert "T1" in quiet_shell("tasks", "--state", "cancelled").out


def test_no_tasks_at_all_says_how_to_submit_one(quiet_shell: Shell) -> None:
    done = quiet_shell("tasks")
    assert (done.code, done.out) == (0, "")
    assert "shopfloor submit" in done.err
    assert quiet_shell("tasks", "--state", "review").err == "No task is review.\n"


def test_a_task_is_shown_with_its_steps(shell: Shell) -> None:
    done = shell("show", "3")
    assert "Rename Client.fetch" in done.out
    assert "4.2 of 20" in done.out
    assert "Keep the old name." in done.out
    assert "✔ passed" in done.out


def test_a_task_is_shown_as_its_view(shell: Shell) -> None:
    assert shell("show", "t3", "--json").json == task_view(shell.desk.task("T3"))


def test_an_unknown_task_is_exit_2_and_names_the_newest(shell: Shell) -> None:
    for command in ("show", "logs", "explain", "approve", "retry", "cancel"):
        done = shell(command, "T99")
        assert (done.code, done.out) == (2, "")
        assert done.err.startswith("Error: There is no task 'T99'.\nThe newest one is T8.")
    assert "Did you mean T3?" in shell("show", "TT3").err


def test_a_hostile_title_reaches_no_terminal(quiet_shell: Shell) -> None:
    store = _store(quiet_shell)
    submit(
        store, repository="web-1", title="\x1b]0;owned\x07[red]good[/red] \x1b[2J\u202e", body="\x1b[31mred\rover\x07"
    )
    for arguments in (["tasks"], ["show", "T1"], ["watch", "--once", "--width", "300"]):
        done = quiet_shell(*arguments)
        assert "[red]good[/red]" in done.out
        assert "\x1b" not in done.out
        assert "\x07" not in done.out
        assert "owned" not in done.out


def test_why_a_task_waits_is_explained(shell: Shell) -> None:
    done = shell("explain", "T8")
    assert "T7 (queued)" in done.out
    assert shell("explain", "T8", "--json").json["reason"]["code"] == "dependency"
    assert "shopfloor retry T2" in shell("explain", "T2").out


def test_a_log_has_a_heading_for_each_step(shell: Shell) -> None:
    done = shell("logs", "T3")
    assert done.out.splitlines() == [
        "── edit · round 1 · attempt 1 ──",
        "edited src/client.py",
        "done \x1b[32mwell\x1b[0m",  # no terminal: what was written
        "── test · round 1 · attempt 1 ──",
        "3 passed",
    ]


def test_a_log_can_be_of_one_step(shell: Shell) -> None:
    assert shell("logs", "T3", "--step", "test").out.splitlines()[1:] == ["3 passed"]
    done = shell("logs", "T3", "--step", "lint")
    assert (done.code, done.out) == (0, "")
    assert done.err == "Step lint of T3 has written nothing yet; the task is running.\n"


def test_following_the_log_of_an_ended_task_ends(shell: Shell) -> None:
    _store(shell).append_log("T2", LogChunk("", 1, 1, "test", b"1 failed\n"))
    assert "1 failed" in shell("logs", "T2", "-f").out


def test_events_are_listed_in_order(shell: Shell) -> None:
    listed = shell("events", "--json").json
    assert listed == [event_view(event) for event in shell.desk.events()]
    assert [event["seq"] for event in listed] == list(range(1, len(listed) + 1))
    assert len(shell("events").out.splitlines()) == len(listed)


def test_events_can_begin_late_and_be_of_one_task(shell: Shell) -> None:
    last = shell.desk.last_seq()
    assert [event["seq"] for event in shell("events", "-n", "2", "--json").json] == [last - 1, last]
    assert [event["seq"] for event in shell("events", "--after", str(last - 1), "--json").json] == [last]
    assert {event["task"] for event in shell("events", "--task", "t3", "--json").json} == {"T3"}
    assert shell("events", "-n", "0", "--json").json == []


def test_more_events_than_one_page_are_all_listed(quiet_shell: Shell) -> None:
    store = _store(quiet_shell)
    for number in range(1, 1102):
        submit(store, id=f"T{number}", repository="web-1")
    assert len(quiet_shell("events", "--json").json) == 1101


def test_a_task_that_just_ended_is_listed(quiet_shell: Shell) -> None:
    store = _store(quiet_shell)
    task = submit(store, repository="web-1")
    advance(store, task, Cause.CANCELLED, State.CANCELLED, ended_at=utc_now() - timedelta(hours=1))
    assert "cancelled" in quiet_shell("tasks").out


def _store(shell: Shell) -> MemoryStore:
    assert isinstance(shell.desk, DirectDesk)
    store = shell.desk._store
    assert isinstance(store, MemoryStore)
    return store
