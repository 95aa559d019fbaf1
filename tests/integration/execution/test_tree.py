"""A command's whole process tree dies with it, whatever it did to live on."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from orchestrator.errors import ShopfloorError
from tests.integration.execution.conftest import ESCAPE, Bench, alive, wait_until
from workers import adoption, reaper
from workers.execution import Ending

if TYPE_CHECKING:
    from collections.abc import Iterator

_ROOT = Path(__file__).parents[3]


def test_a_stop_kills_daemons_that_are_deaf_to_signals(bench: Bench) -> None:
    execution = bench.run(*ESCAPE, str(bench.directory), "5", "stay", should_stop=bench.stop_when_ready)
    assert (execution.ending, execution.signal) == (Ending.stopped, signal.SIGKILL)
    assert len(bench.pids) == 6
    assert bench.survivors == []


def test_daemons_left_behind_are_killed_and_the_exit_code_is_kept(bench: Bench) -> None:
    execution = bench.run(*ESCAPE, str(bench.directory), "5", "leave")
    assert (execution.ending, execution.exit_code) == (Ending.exited, 7)
    assert len(bench.pids) == 5
    assert bench.survivors == []


def test_a_time_limit_kills_daemons(bench: Bench) -> None:
    execution = bench.run(*ESCAPE, str(bench.directory), "3", "stay", seconds=0.7)
    assert execution.ending is Ending.timed_out
    assert bench.pids
    assert bench.survivors == []


def test_two_hundred_daemons_die(bench: Bench) -> None:
    bench.run(*ESCAPE, str(bench.directory), "200", "stay", should_stop=bench.stop_when_ready)
    assert len(bench.pids) == 201
    assert bench.survivors == []


def test_a_tree_that_forks_all_the_time_dies(bench: Bench) -> None:
    # each shell starts a successor in a session of its own, and ends: the tree is never twice the same processes
    relay = bench.directory / "relay"
    relay.write_text(f'#!/bin/sh\necho $$ >> "{bench.directory}/runners"\nsetsid "$0" &\n')
    relay.chmod(0o755)
    runners = bench.directory / "runners"

    def many() -> str | None:
        return "enough" if runners.exists() and len(runners.read_text().split()) > 20 else None

    bench.run("sh", "-c", f"for n in 1 2 3; do {relay} & done; sleep 60", should_stop=many)
    before = runners.read_text()
    assert [pid for pid in map(int, before.split()) if alive(pid)] == []
    assert runners.read_text() == before


# Each process forks as long as it gets a token from a pipe that held so many at the start: a bomb of a known size.
_BOMB = """
import os, signal
tokens, spare = os.pipe()
os.write(spare, b"t" * 600)
os.close(spare)
print("ready", flush=True)
while os.read(tokens, 1):
    if os.fork() == 0:
        os.setsid()
with open(str(os.getpid()) + ".pid", "x"):
    signal.pause()
"""


def test_a_tree_that_doubles_dies(bench: Bench) -> None:
    execution = bench.run(sys.executable, "-I", "-S", "-c", _BOMB, should_stop=lambda: "enough" if bench.pids else None)
    assert execution.ending is Ending.stopped
    assert bench.survivors == []


@pytest.mark.parametrize("where", ["sink", "should_stop"])
def test_a_failure_of_the_caller_kills_the_tree(bench: Bench, where: str) -> None:
    def sink(output: bytes) -> None:
        bench.output.append(output)
        if where == "sink":
            raise OverflowError

    def should_stop() -> str | None:
        if bench.stop_when_ready():
            raise OverflowError
        return None

    with pytest.raises(OverflowError):
        bench.run(*ESCAPE, str(bench.directory), "2", "stay", sink=sink, should_stop=should_stop)
    assert len(bench.pids) == 3
    assert bench.survivors == []


def test_nothing_of_ours_is_left_either(bench: Bench) -> None:
    files, processes = os.listdir("/proc/self/fd"), reaper.children(os.getpid())  # noqa: PTH208 -- bare names
    bench.run("true")
    bench.run("no-such-agent")
    bench.run("sleep", "60", seconds=0.05)
    assert os.listdir("/proc/self/fd") == files  # noqa: PTH208 -- bare names
    assert reaper.children(os.getpid()) == processes


@contextmanager
def _floor(*argv: str) -> Iterator[subprocess.Popen[bytes]]:
    """A worker of its own that carries out a command; yields when the command has said that it is ready."""
    script = [sys.executable, "-m", "tests.integration.execution.floor", *argv]
    with subprocess.Popen(script, stdout=subprocess.PIPE, cwd=_ROOT) as worker:
        assert worker.stdout is not None
        try:
            assert worker.stdout.read(6) == b"ready\n"
            yield worker
        finally:
            worker.kill()


def test_the_tree_dies_when_its_worker_is_killed(bench: Bench) -> None:
    with _floor(*ESCAPE, str(bench.directory), "4", "stay") as worker:
        assert len(bench.survivors) == 5
        worker.kill()
        wait_until(lambda: not bench.survivors)


def test_the_tree_is_dead_when_a_signal_has_ended_its_worker(bench: Bench) -> None:
    with _floor(*ESCAPE, str(bench.directory), "4", "stay") as worker:
        worker.terminate()
        assert worker.wait() == 3
        assert bench.survivors == []


def test_the_tree_dies_when_the_group_of_its_worker_is_killed(bench: Bench) -> None:
    setsid = shutil.which("setsid")
    assert setsid is not None
    script = [setsid, sys.executable, "-m", "tests.integration.execution.floor"]
    with subprocess.Popen(
        [*script, *ESCAPE, str(bench.directory), "2", "stay"], stdout=subprocess.PIPE, cwd=_ROOT
    ) as worker:
        assert worker.stdout is not None
        assert worker.stdout.read(6) == b"ready\n"
        os.killpg(worker.pid, signal.SIGKILL)
        wait_until(lambda: not bench.survivors)


_SPAWN = 'setsid sh -c \'echo $$ > "$0/$$.new"; mv "$0/$$.new" "$0/$$.pid"; sleep 60\' "$PWD" &'
_AWAIT = "until ls *.pid >/dev/null 2>&1; do :; done"


def test_a_command_that_kills_its_reaper_dies_with_all_its_daemons(bench: Bench) -> None:
    execution = bench.run("sh", "-c", f"{_SPAWN} {_AWAIT}; kill -9 $PPID; sleep 60")
    assert (execution.ending, execution.exit_code) == (Ending.exited, None)
    assert execution.why is not None
    assert "watched over it was killed" in execution.why
    assert len(bench.pids) == 1
    assert bench.survivors == []


def test_a_command_that_freezes_its_reaper_can_be_stopped(bench: Bench) -> None:
    script = f"{_SPAWN} {_AWAIT}; kill -STOP $PPID; echo ready; sleep 60"
    execution = bench.run("sh", "-c", script, should_stop=bench.stop_when_ready)
    assert execution.ending is Ending.stopped
    assert len(bench.pids) == 1
    assert bench.survivors == []


def test_a_reaper_is_deaf_to_what_can_be_ignored(bench: Bench) -> None:
    script = "for s in HUP INT QUIT TERM USR1 USR2 ALRM TSTP; do kill -$s $PPID; done; echo done"
    assert bench.run("sh", "-c", script).tail == b"done\n"


def test_a_reaper_that_does_not_act_is_killed_and_its_tree_with_it(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    # stopped again and again, it never gets to do its work
    monkeypatch.setattr("workers.execution.GRACE_SECONDS", 0.1)
    monkeypatch.setattr("workers.tree.GRACE_SECONDS", 0.1)
    script = f"{_SPAWN} {_AWAIT}; echo ready; while :; do kill -STOP $PPID; done"
    execution = bench.run("sh", "-c", script, should_stop=bench.stop_when_ready)
    assert execution.ending is Ending.stopped
    assert bench.survivors == []


def test_children_of_the_worker_in_its_own_session_are_no_strays(bench: Bench) -> None:
    with subprocess.Popen(["sleep", "60"]) as bystander:
        bench.run("sh", "-c", "kill -9 $PPID; sleep 60")
        assert bystander.poll() is None
        bystander.kill()


def test_a_stray_that_does_not_die_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adoption, "kill_trees", lambda _: None)
    with subprocess.Popen(["sleep", "60"], start_new_session=True) as stray:
        with pytest.raises(ShopfloorError, match=str(stray.pid)):
            adoption.kill_strays(0.02)
        stray.kill()


def test_children_are_found_without_the_kernels_own_list() -> None:
    with subprocess.Popen(["sleep", "60"]) as child:
        found = reaper.children(os.getpid())
        assert child.pid in found
        assert sorted(found) == sorted(reaper._children_by_parent(os.getpid()))
        child.kill()
