"""Carries out one command as a process tree that dies whole, and streams its output meanwhile."""

from __future__ import annotations

import errno
import os
import selectors
import time
from dataclasses import dataclass
from enum import StrEnum
from signal import SIGKILL
from typing import TYPE_CHECKING

from workers.streams import Streams
from workers.tree import GRACE_SECONDS, TooLongError, Tree

if TYPE_CHECKING:
    from collections.abc import Callable

    from workers.command import Command
    from workers.sandbox import Sandbox

_POLL_SECONDS = 0.1  # between two questions whether to stop


class Ending(StrEnum):
    """Why a command no longer runs."""

    exited = "exited"
    """Of itself: it returned an exit code, or died by a signal that was not ours."""
    timed_out = "timed_out"
    stopped = "stopped"
    not_started = "not_started"


@dataclass(frozen=True)
class Execution:
    """How a command went.

    Attributes:
        ending: Why it no longer runs.
        exit_code: What it returned; None if a signal ended it or it never started.
        signal: The signal that ended it, or None.
        seconds: How long it took, start and clearing up included.
        tail: The beginning and the end of its output, at most 16 KiB (`workers.excerpt`).
        output_bytes: How much it wrote to standard output and standard error.
        why: The reason of the stop, or why it could not be started; None if it ended of itself.
    """

    ending: Ending
    exit_code: int | None
    signal: int | None
    seconds: float
    tail: bytes
    output_bytes: int
    why: str | None


def execute(
    command: Command,
    *,
    sink: Callable[[bytes], None],
    should_stop: Callable[[], str | None],
    sandbox: Sandbox,
) -> Execution:
    """Runs a command to its end, and leaves nothing of it alive whatever that end is.

    Single-threaded, and needs no signal handler, so that it works in a Celery pool child: an exception that a signal
    handler raises in here (`SystemExit`, `SoftTimeLimitExceeded`) kills the tree and passes on, like one out of `sink`
    or `should_stop`.

    Args:
        command: What to run, and for how long at most.
        sink: Gets all output, standard output and error as they came, in batches of 16 KiB and more, or what there is
            after 0.2 s. Never by lines, so that a line of any length costs bounded memory. While it blocks, nothing
            else happens here.
        should_stop: Asked every 0.1 s; a returned text is the reason to kill the command now.
        sandbox: Confines the command.

    Returns:
        How it went. A command that cannot be started is a value too (`Ending.not_started`).

    Raises:
        SetupError: If this machine cannot start a process.
        ShopfloorError: If something of the tree outlived SIGKILL.
    """
    started = time.monotonic()
    confined = sandbox.wrap(command)
    if unfit := _unfit(confined):
        return _never_started(unfit)
    try:
        with Tree(confined) as tree, selectors.DefaultSelector() as selector:
            streams = Streams(tree, selector, confined.stdin, sink)
            stop = _watch(tree, streams, _Limits(started + confined.seconds, confined.seconds, should_stop))
            report = tree.report()
            streams.drain()
    except TooLongError as error:
        return _never_started(error.message)
    ending, exit_code, number, why = _outcome(report, confined)
    if stop and ending is not Ending.not_started:
        ending, why = stop
    seconds = time.monotonic() - started
    return Execution(ending, exit_code, number, seconds, bytes(streams.excerpt), streams.excerpt.total, why)


@dataclass(frozen=True)
class _Limits:
    deadline: float
    seconds: float
    should_stop: Callable[[], str | None]

    def exceeded(self) -> tuple[Ending, str] | None:
        """Why the command may not go on, if so."""
        if time.monotonic() >= self.deadline:
            return Ending.timed_out, f"It took longer than its {self.seconds:g} seconds."
        why = self.should_stop()
        return (Ending.stopped, why) if why is not None else None


def _watch(tree: Tree, streams: Streams, limits: _Limits) -> tuple[Ending, str] | None:
    """Pumps until the tree has ended, and has it killed when a limit says so; returns what that limit said."""
    next_poll = 0.0
    while not streams.ended:
        now = time.monotonic()
        if now >= min(next_poll, limits.deadline):
            next_poll = now + _POLL_SECONDS
            if stop := limits.exceeded():
                tree.kill()
                _await_end(streams)
                return stop
        streams.pump(min(next_poll, limits.deadline))
    return None


def _await_end(streams: Streams) -> None:
    """Pumps while the reaper kills; a reaper that does not get that done is left to `Tree.report`."""
    give_up = time.monotonic() + GRACE_SECONDS
    while not streams.ended and time.monotonic() < give_up:
        streams.pump(give_up)


def _outcome(report: str | None, command: Command) -> tuple[Ending, int | None, int | None, str | None]:
    """Reads a reaper's report: ending, exit code, signal, explanation."""
    match report.split() if report else ():
        case ["exited", code]:
            return Ending.exited, int(code), None, None
        case ["signalled", number]:
            return Ending.exited, None, int(number), None
        case ["failed", stage, number]:
            return Ending.not_started, None, None, _explain(stage, int(number), command)
        case _:
            why = "The process that watched over it was killed, so all of it was killed."
            return Ending.exited, None, int(SIGKILL), why


def _explain(stage: str, number: int, command: Command) -> str:
    """Says for a person why the system did not start the command."""
    program = command.argv[0]
    if stage == "chdir":
        return f"Its working directory {command.cwd} cannot be entered: {os.strerror(number)}."
    if number == errno.ENOENT and "/" in program and (command.cwd / program).exists():
        return f"{program} cannot be started: the interpreter that its first line (#!) names does not exist."
    if number == errno.ENOENT:
        return f"{program} does not exist" + ("." if "/" in program else f" on PATH ({command.env.get('PATH', '')}).")
    if number == errno.EACCES:
        return f"{program} cannot be started: it is not executable (chmod +x), or not readable by this user."
    if number == errno.ENOEXEC:
        return f"{program} cannot be started: it is no program of this machine and has no #! line."
    return f"{program} cannot be started: {os.strerror(number)}."


def _unfit(command: Command) -> str | None:
    """Says what of a command no system could start."""
    if not command.argv or not command.argv[0]:
        return "There is no command to run."
    words = [*command.argv, str(command.cwd), *command.env.keys(), *command.env.values()]
    if any("\0" in word for word in words):
        return "Its arguments or its environment hold a NUL character."
    return None


def _never_started(why: str) -> Execution:
    return Execution(Ending.not_started, None, None, 0.0, b"", 0, why)
