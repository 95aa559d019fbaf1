"""`submit --wait`: it ends when the tasks do, and says how."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.bootstrap import utc_now
from orchestrator.cli import follow
from orchestrator.domain.halt import Reach
from orchestrator.domain.task import Cause, Reason, ReasonCode, State
from orchestrator.errors import UnreachableError
from tests.helpers.tasks import WAY_HOME, advance, claim

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

    from orchestrator.desks.direct import DirectDesk
    from orchestrator.domain.task import Event, Task
    from tests.unit.cli.cases import Shell


def when_asked_for_news(shell: Shell, monkeypatch: pytest.MonkeyPatch, *acts: Callable[[], object]) -> None:
    """Do one act each time that a command asks for events, instead of waiting for them."""
    desk = shell.desk
    look, pending = desk.events, list(acts)

    def events(after: int = 0, limit: int = 1000, wait: float = 0.0) -> list[Event]:
        if pending:
            pending.pop(0)()
            wait = 0.0
        return look(after, limit, wait)

    monkeypatch.setattr(desk, "events", events)


def land(desk: DirectDesk, task_id: str) -> Task:
    store = desk._store
    assert claim(store, store.task(task_id), store.hosts()[0]) is None
    task = store.task(task_id)
    for cause, state in WAY_HOME:
        ended = {"ended_at": utc_now(), "merged_as": "ab" * 20} if state is State.MERGED else {}
        task = advance(store, task, cause, state, **ended)
    return task


def escalate(desk: DirectDesk, task_id: str) -> None:
    why = Reason(code=ReasonCode.NO_PROGRESS, text="the agent changed nothing.")
    store = desk._store
    advance(store, store.task(task_id), Cause.ESCALATED, State.ESCALATED, reason=why, ended_at=utc_now())


def test_waiting_for_a_task_that_lands_is_exit_0(quiet_shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    when_asked_for_news(quiet_shell, monkeypatch, lambda: land(quiet_shell.desk, "T1"))  # type: ignore[arg-type]
    done = quiet_shell("submit", "x", "--wait", "--json")
    assert done.code == 0
    assert (done.json["state"], done.json["merged_as"]) == ("merged", "ab" * 20)
    assert "T1 is merged as abababababab" in done.err


def test_waiting_for_a_task_that_is_escalated_is_exit_1(quiet_shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    when_asked_for_news(quiet_shell, monkeypatch, lambda: escalate(quiet_shell.desk, "T1"))  # type: ignore[arg-type]
    done = quiet_shell("submit", "x", "--wait")
    assert done.code == 1
    assert "T1 is escalated: the agent changed nothing." in done.err
    assert "shopfloor explain T1" in done.err


def test_waiting_for_a_task_that_is_cancelled_is_exit_1(quiet_shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    when_asked_for_news(quiet_shell, monkeypatch, lambda: quiet_shell.desk.cancel("T1"))
    done = quiet_shell("submit", "x", "--wait", "--json")
    assert (done.code, done.json["state"]) == (1, "cancelled")


def test_a_halt_that_keeps_it_is_told(quiet_shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    when_asked_for_news(
        quiet_shell,
        monkeypatch,
        lambda: quiet_shell.desk.halt(Reach.FLEET, "", "a test"),
        lambda: quiet_shell.desk.cancel("T1"),
    )
    assert "a test" in quiet_shell("submit", "x", "--wait").err


def test_a_short_loss_of_the_fleet_is_waited_out(quiet_shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    def lost() -> None:
        raise UnreachableError("Redis cannot be reached.", "Start it.")

    monkeypatch.setattr(follow, "_PAUSE", 0.0)
    when_asked_for_news(quiet_shell, monkeypatch, lost, lost, lambda: quiet_shell.desk.cancel("T1"))
    done = quiet_shell("submit", "x", "--wait")
    assert done.code == 1
    assert done.err.count("Redis cannot be reached. Trying again") == 1


def test_a_long_loss_of_the_fleet_is_exit_3(quiet_shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    def lost(*_: object, **__: object) -> None:
        raise UnreachableError("Redis cannot be reached.", "Start it.")

    monkeypatch.setattr(follow, "PATIENCE", 0.0)
    monkeypatch.setattr(quiet_shell.desk, "events", lost)
    assert quiet_shell("submit", "x", "--wait").code == 3
