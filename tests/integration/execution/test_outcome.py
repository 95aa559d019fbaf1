"""How a command's end is told."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from workers.execution import Ending

if TYPE_CHECKING:
    from tests.integration.execution.conftest import Bench


@pytest.mark.parametrize("code", [0, 1, 3, 127, 255])
def test_an_exit_code_is_reported_as_it_was(bench: Bench, code: int) -> None:
    execution = bench.run("sh", "-c", f"exit {code}")
    assert (execution.ending, execution.exit_code, execution.signal) == (Ending.exited, code, None)
    assert execution.why is None


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL, signal.SIGSEGV])
def test_a_death_by_signal_is_told_from_an_exit_code(bench: Bench, number: signal.Signals) -> None:
    execution = bench.run("sh", "-c", f"kill -{number.value} $$")
    assert (execution.ending, execution.exit_code, execution.signal) == (Ending.exited, None, number)


LIBC_SIGNALS = 0b11 << 31
"""Signals 32 and 33, which the C library keeps for itself: no program can set them, whatever it inherited."""


def test_a_command_that_does_not_exist_is_told_from_one_that_failed(bench: Bench) -> None:
    execution = bench.run("no-such-agent")
    assert (execution.ending, execution.exit_code) == (Ending.not_started, None)
    assert execution.why is not None
    assert "no-such-agent does not exist on PATH" in execution.why


@pytest.mark.parametrize(
    ("content", "mode", "why"),
    [
        ("#!/bin/sh\n", 0o644, "not executable"),
        ("#!/no/such/interpreter\n", 0o755, "the interpreter that its first line"),
        ("no first line\n", 0o755, "no program of this machine"),
    ],
)
def test_a_program_that_cannot_start_says_why(bench: Bench, content: str, mode: int, why: str) -> None:
    program = bench.directory / "agent"
    program.write_text(content)
    program.chmod(mode)
    for name in (str(program), "./agent"):
        execution = bench.run(name)
        assert execution.ending is Ending.not_started
        assert execution.why is not None
        assert why in execution.why


def test_a_missing_working_directory_is_named(bench: Bench) -> None:
    bench.directory = bench.directory / "gone"
    execution = bench.run("true")
    assert execution.ending is Ending.not_started
    assert execution.why is not None
    assert "gone cannot be entered" in execution.why


@pytest.mark.parametrize("argv", [(), ("",), ("true", "a\0b"), ("true", "x" * 3_000_000)])
def test_a_command_no_system_could_start_is_an_outcome(bench: Bench, argv: tuple[str, ...]) -> None:
    execution = bench.run(*argv)
    assert execution.ending is Ending.not_started
    assert execution.why


def test_a_command_gets_its_words_as_they_are(bench: Bench) -> None:
    words = ("$(touch x)", "a b", "", "-n", "'\"", "\u00e4\U0001f600", "{{ }}", "line\nbreak")
    bench.run("printf", "%s|", *words)
    assert bench.text.decode() == "".join(f"{word}|" for word in words)


def test_a_command_gets_no_variable_but_its_own(bench: Bench) -> None:
    bench.run("env", "-0")
    names = {entry.partition(b"=")[0] for entry in bench.text.split(b"\0")[:-1]}
    assert names == {b"PATH"}


def test_a_command_gets_no_file_but_its_streams(bench: Bench) -> None:
    bench.run("sh", "-c", "ls /proc/$$/fd; awk '/^Sig(Blk|Ign)/ {print $2}' /proc/self/status; ulimit -c")
    *words, ignored, core = bench.text.split()
    assert [*words, core] == [b"0", b"1", b"2", b"0" * 16, b"0"]
    assert int(ignored, 16) & ~LIBC_SIGNALS == 0


def test_a_time_limit_ends_the_command(bench: Bench) -> None:
    execution = bench.run("sleep", "60", seconds=0.2)
    assert execution.ending is Ending.timed_out
    assert execution.why == "It took longer than its 0.2 seconds."


def test_a_reason_to_stop_ends_the_command_and_is_kept(bench: Bench) -> None:
    execution = bench.run("sh", "-c", "echo ready; sleep 60", should_stop=bench.stop_when_ready)
    assert (execution.ending, execution.why) == (Ending.stopped, "seen enough")
    assert execution.tail == b"ready\n"
