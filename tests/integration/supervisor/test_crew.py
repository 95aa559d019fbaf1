"""Programs are started, kept, and ended, and nothing of them outlives whoever started them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from orchestrator.errors import SetupError
from orchestrator.supervision import guard
from orchestrator.supervision.alarm import Alarm
from orchestrator.supervision.crew import Crew
from orchestrator.supervision.hold import nothing_lives, presence
from tests.helpers.waiting import eventually
from tests.integration.supervisor.conftest import Census, script

if TYPE_CHECKING:
    from collections.abc import Iterator

SLEEP = "import time; time.sleep(600)"
STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); open('deaf', 'w'); time.sleep(600)"
DAEMON = (
    "import os, time\n"
    "if os.fork() == 0:\n"
    "    os.setsid()\n"
    "    if os.fork() == 0:\n"
    "        open('daemon', 'w')\n"
    "        time.sleep(600)\n"
    "    os._exit(0)\n"
    "time.sleep(600)\n"
)


class Bench:
    """A crew, and what it told."""

    def __init__(self, directory: Path, alarm: Alarm) -> None:
        self.directory = directory
        self.told: list[str] = []
        (directory / "run").mkdir()
        self.presence = presence(directory)
        self.crew = Crew(directory, self.presence, alarm, self.told.append)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with Alarm(hangup_stops=True) as alarm:
        made = Bench(tmp_path, alarm)
        yield made
        os.close(made.presence)


def ask_to_stop() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def test_what_is_started_is_ended_when_asked(bench: Bench, census: Census) -> None:
    programs = [script(name, SLEEP, census, bench.directory) for name in ("a", "b")]
    assert bench.crew.start(programs, 10)
    assert not nothing_lives(bench.directory)
    bench.crew.end(["a", "b"])
    assert census.alive() == []


def test_one_that_ignores_the_request_is_killed_after_its_grace(bench: Bench, census: Census) -> None:
    program = script("a", STUBBORN, census, bench.directory, grace=0.05)
    assert bench.crew.start([replace(program, ready=(bench.directory / "deaf").exists)], 10)
    bench.crew.end(["a"])
    assert census.alive() == []


def test_a_daemon_ends_with_its_program(bench: Bench, census: Census) -> None:
    program = script("a", DAEMON, census, bench.directory)
    assert bench.crew.start([replace(program, ready=(bench.directory / "daemon").exists)], 10)
    bench.crew.end(["a"])
    assert census.alive() == []


def test_one_that_never_starts_is_told_with_its_last_words(bench: Bench, census: Census) -> None:
    text = "import sys; sys.exit('no such luck')"
    program = replace(script("api", text, census, bench.directory), ready=lambda: False)
    with pytest.raises(SetupError, match=r"api does not start \(exit 1, 3 times\)") as caught:
        bench.crew.start([program], 10)
    assert "no such luck" in str(caught.value)


def test_one_that_is_never_ready_is_told(bench: Bench, census: Census) -> None:
    program = replace(script("a", SLEEP, census, bench.directory), ready=lambda: False)
    with pytest.raises(SetupError, match="not ready"):
        bench.crew.start([program], 0.1)
    bench.crew.end(["a"])


def test_a_program_that_does_not_exist_is_told(bench: Bench, census: Census) -> None:
    program = replace(script("a", "", census, bench.directory), argv=("/nowhere/at/all",), ready=lambda: False)
    with pytest.raises(SetupError, match="cannot be started: No such file"):
        bench.crew.start([program], 10)


def test_another_is_started_in_place_of_one_that_fails(bench: Bench, census: Census) -> None:
    good = script("a", SLEEP, census, bench.directory)
    bad = replace(script("a", "raise SystemExit(1)", census, bench.directory), otherwise=lambda: good)
    assert bench.crew.start([replace(bad, ready=lambda: False)], 10)
    bench.crew.end(["a"])


def test_one_that_crashes_is_started_again_and_said_so(bench: Bench, census: Census) -> None:
    ready = bench.directory / "started"
    text = f"open({str(ready)!r}, 'w'); import time; time.sleep(600)"
    assert bench.crew.start([replace(script("a", text, census, bench.directory), ready=ready.exists)], 10)
    ready.unlink()
    (guarded,) = [each for each in census.alive() if "guard.py" not in " ".join(each.cmdline())]

    def crash() -> None:
        guarded.kill()
        eventually(ready.exists, "another start")
        ask_to_stop()

    other = threading.Thread(target=crash)
    other.start()
    bench.crew.keep()
    other.join()
    bench.crew.end(["a"])
    assert "a ended (exit 137) and is started again" in bench.told[0]


def test_one_that_cannot_be_started_again_now_is_tried_later(bench: Bench, census: Census) -> None:
    away = bench.directory / "away"
    away.mkdir()
    assert bench.crew.start([replace(script("a", SLEEP, census, bench.directory), directory=away)], 10)

    def disturb() -> None:
        away.rename(bench.directory / "elsewhere")  # as little can be started there as where a disk is full
        first = census.alive()
        for each in first:
            each.kill()
        try:
            eventually(lambda: any("cannot be started again" in told for told in bench.told), "a failed start")
            (bench.directory / "elsewhere").rename(away)
            eventually(lambda: set(census.alive()) - set(first), "another start")
        finally:
            ask_to_stop()

    thread = threading.Thread(target=disturb)
    thread.start()
    bench.crew.keep()
    thread.join()
    bench.crew.end(["a"])
    assert any("cannot be started again: No such file or directory" in told for told in bench.told)


def test_a_request_during_the_start_ends_it(bench: Bench, census: Census) -> None:
    program = script("a", SLEEP, census, bench.directory)

    def never() -> bool:
        ask_to_stop()
        return False

    assert not bench.crew.start([replace(program, ready=never)], 10)
    bench.crew.end(["a"])
    assert census.alive() == []


def test_a_large_log_is_put_aside_at_the_start(bench: Bench, census: Census) -> None:
    log = bench.directory / "a.log"
    with log.open("wb") as file:
        file.truncate(9 * 1024 * 1024)
    assert bench.crew.start([script("a", SLEEP, census, bench.directory)], 10)
    bench.crew.end(["a"])
    assert log.stat().st_size == 0
    assert (bench.directory / "a.log.1").exists()


def test_everything_dies_with_whoever_started_it(tmp_path: Path, census: Census) -> None:
    starter = (
        "import subprocess, sys, time\n"
        "subprocess.Popen(sys.argv[1:], stdin=subprocess.PIPE, start_new_session=True)\n"
        "time.sleep(600)\n"
    )
    daemon = [sys.executable, "-I", "-S", str(Path(guard.__file__)), sys.executable, "-I", "-S", "-c", DAEMON]
    with subprocess.Popen([sys.executable, "-c", starter, *daemon], cwd=tmp_path, env=census.environment) as parent:
        eventually((tmp_path / "daemon").exists, "the daemon")
        parent.kill()
    census.nobody()


def test_a_program_dies_with_its_guard(tmp_path: Path, census: Census) -> None:
    words = [sys.executable, "-I", "-S", str(Path(guard.__file__)), sys.executable, "-I", "-S", "-c", SLEEP]
    with subprocess.Popen(words, cwd=tmp_path, env=census.environment, stdin=subprocess.PIPE) as guarding:
        eventually(lambda: len(census.alive()) == 2, "a guard and its program")
        guarding.kill()
    census.nobody()
