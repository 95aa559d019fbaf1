"""`-f`, pipes that close, Ctrl-C, and a server that goes away."""

from __future__ import annotations

import fcntl
import json
import signal
import subprocess
from typing import TYPE_CHECKING

import pytest

from orchestrator.domain.task import Cause, State
from orchestrator.store import LogChunk
from tests.helpers.servers import RedisServer
from tests.helpers.tasks import NOW, advance, make_host, start, submit

if TYPE_CHECKING:
    from pathlib import Path

    from orchestrator.stores.redis import RedisStore
    from tests.integration.cli.conftest import Terminal

_PATIENCE = 30.0


def test_events_are_followed_as_they_happen(store: RedisStore, terminal: Terminal) -> None:
    submit(store, id="T1", repository="web-1")
    follower = terminal.start("events", "-f", "--json")
    assert follower.stdout is not None
    first = json.loads(follower.stdout.readline())
    submit(store, id="T2", repository="web-1")
    second = json.loads(follower.stdout.readline())
    assert [(each["seq"], each["task"], each["to"]) for each in (first, second)] == [
        (1, "T1", "queued"),
        (2, "T2", "queued"),
    ]


def test_a_followed_log_ends_with_its_task(store: RedisStore, terminal: Terminal) -> None:
    store.beat(make_host(), [], 60)
    task = start(store, make_host(), id="T1", repository="web-1")
    store.append_log("T1", LogChunk("", 1, 1, "edit", b"one\n"))
    follower = terminal.start("logs", "t1", "-f")
    assert follower.stdout is not None
    assert [follower.stdout.readline() for _ in range(2)] == ["── edit · round 1 · attempt 1 ──\n", "one\n"]
    store.append_log("T1", LogChunk("", 1, 1, "edit", "zwei é".encode()))
    advance(store, task, Cause.ESCALATED, State.ESCALATED, ended_at=NOW)
    out, err = follower.communicate(timeout=_PATIENCE)
    assert (out, err, follower.returncode) == ("zwei é\n", "", 0)


@pytest.mark.parametrize("arguments", [["events", "-f"], ["logs", "T1", "-f"]])
def test_ctrl_c_is_quiet(store: RedisStore, terminal: Terminal, arguments: list[str]) -> None:
    submit(store, id="T1", repository="web-1")
    store.append_log("T1", LogChunk("", 1, 1, "edit", b"one\n"))
    follower = terminal.start(*arguments)
    assert follower.stdout is not None
    follower.stdout.readline()
    follower.send_signal(signal.SIGINT)
    _, err = follower.communicate(timeout=_PATIENCE)
    assert (follower.returncode, err) == (130, "")


@pytest.mark.parametrize("arguments", [["events"], ["events", "-f"], ["events", "--json"], ["tasks", "--json"]])
def test_a_reader_that_goes_away_is_no_fault(store: RedisStore, terminal: Terminal, arguments: list[str]) -> None:
    for number in range(1, 400):
        submit(store, id=f"T{number}", repository="web-1", title="x" * 200)
    command = terminal.start(*arguments)
    assert command.stdout is not None
    assert command.stderr is not None
    # However much a pipe holds on this machine: with the rest still unwritten, the writer must meet the closed end.
    fcntl.fcntl(command.stdout, fcntl.F_SETPIPE_SZ, 4096)
    command.stdout.readline()
    command.stdout.close()
    if "-f" in arguments:
        submit(store, id="T900", repository="web-1")
    assert command.wait(_PATIENCE) == 141
    assert command.stderr.read() == ""


def test_a_server_that_stops_is_told_and_is_exit_3(tmp_path: Path, terminal: Terminal) -> None:
    server = RedisServer(tmp_path / "short").start()
    server.stop()
    terminal.environment["SHOPFLOOR_REDIS_URL"] = server.url
    command = terminal.start("tasks", "--json")
    out, err = command.communicate(timeout=_PATIENCE)
    assert (command.returncode, out) == (3, "")
    assert len(err.splitlines()) == 2
    assert server.password not in err


def test_a_server_that_comes_back_is_followed_on(tmp_path: Path, terminal: Terminal) -> None:
    from orchestrator.stores.redis import RedisStore  # noqa: PLC0415 - a store of this test alone

    server = RedisServer(tmp_path / "comes-back").start()
    try:
        store = RedisStore(server.url)
        submit(store, id="T1", repository="web-1")
        terminal.environment["SHOPFLOOR_REDIS_URL"] = server.url
        follower = terminal.start("events", "-f", "--json")
        assert follower.stdout is not None
        assert follower.stderr is not None
        assert json.loads(follower.stdout.readline())["seq"] == 1
        server.kill()
        assert "Trying again" in follower.stderr.readline()
        server.start()
        submit(store, id="T2", repository="web-1")
        assert json.loads(follower.stdout.readline())["task"] == "T2"
        store.close()
    finally:
        server.stop()


def test_the_board_needs_no_terminal(store: RedisStore, terminal: Terminal) -> None:
    submit(store, id="T1", repository="web-1")
    done = subprocess.run(
        terminal.argv("watch", "--once", "--width", "120"),
        cwd=terminal.directory,
        env=terminal.environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=_PATIENCE,
    )
    assert "QUEUED  1" in done.stdout
    assert "\x1b" not in done.stdout
