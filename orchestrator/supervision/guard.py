"""Runs one program of a fleet, and lets nothing of it outlive the supervisor.

A stand-alone script: standard library only, nothing of this project, few imports, because one of it stays beside every
program (`python -I -S guard.py PROGRAM [WORD...]`).

Standard input is the read end of a pipe whose other end only the supervisor holds. End of file on it (the supervisor
closed it, or was killed -9) means "kill everything now". SIGTERM and SIGQUIT go on to the program, and to it alone: a
Celery worker tells its own children. When the program ends, whatever it left is killed before this script exits with
the program's code, or 128 and the number of the signal that ended it.

It is a child subreaper (prctl(2), PR_SET_CHILD_SUBREAPER), so each descendant of the program, whatever sessions it
makes, has this process as an ancestor until it is dead; "no children left" is the proof that all is gone. Where there
is no such call (macOS), the program's process group is killed instead, and what left the group escapes.
"""
# ruff: noqa: PTH123, PTH208 -- pathlib would double the time and the memory that this takes

from __future__ import annotations

import ctypes
import os
import select
import signal
import sys

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_FORWARDED = (signal.SIGTERM, signal.SIGQUIT)
_IGNORED = (signal.SIGINT, signal.SIGHUP)
_KILLED = 128


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def _note(number: int, frame: object) -> None:
    """Do nothing: the number comes through the wake-up pipe."""


def _children(pid: int) -> list[int]:
    """The direct children of a process; none if it is gone or there is no Linux /proc."""
    found: list[int] = []
    try:
        for thread in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{thread}/children", encoding="ascii") as listing:
                found += map(int, listing.read().split())
    except (FileNotFoundError, ProcessLookupError):
        return found  # it ended meanwhile: its children are somebody else's now, and found there
    return found


def _send(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except (ProcessLookupError, PermissionError):
        return  # gone, or not ours to kill


def _freeze(frozen: set[int]) -> bool:
    """Stop every descendant that is not in `frozen` yet, and say whether there was one."""
    before = len(frozen)
    pending = _children(os.getpid())
    while pending:
        pid = pending.pop()
        if pid not in frozen:
            _send(pid, signal.SIGSTOP)
            frozen.add(pid)
        pending += _children(pid)
    return len(frozen) > before


class _Family:
    """Everything that came of the program.

    Args:
        main: Process id of the program itself.
    """

    def __init__(self, main: int) -> None:
        self.main = main
        self.code: int | None = None

    def reap(self, options: int = os.WNOHANG) -> bool:
        """Take note of the dead, and say whether anything is left."""
        try:
            while True:
                pid, status = os.waitpid(-1, options)
                options = os.WNOHANG
                if pid == 0:
                    return True
                if pid == self.main:
                    ended = os.waitstatus_to_exitcode(status)
                    self.code = ended if ended >= 0 else _KILLED - ended
        except ChildProcessError:
            return False

    def kill(self) -> None:
        """Kill all of it, and return when none of it exists."""
        while self.reap():
            # Stopped first, so that a tree that forks as fast as it can stands still before the first of it is killed.
            frozen: set[int] = set()
            while _freeze(frozen):
                continue
            for pid in frozen:
                _send(pid, signal.SIGKILL)
            if not frozen:  # this system lists no children
                _send(-self.main, signal.SIGKILL)
            self.reap(0)


def _start(argv: list[str]) -> int:
    """Start the program in a session of its own, which ends with this script even at kill -9."""
    guard = os.getpid()
    main = os.fork()
    if main:
        return main
    try:
        signal.set_wakeup_fd(-1)
        for number in (*_FORWARDED, *_IGNORED, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)
        os.setsid()
        _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() == guard:  # else it died before the line above
            os.execvp(argv[0], argv)  # noqa: S606 -- no shell is what is wanted
    except OSError as error:
        os.write(2, f"{argv[0]} cannot be started: {error.strerror}\n".encode())
    finally:
        os._exit(127)


def main(argv: list[str]) -> int:
    """Run the program to its end, or to the end of the supervisor."""
    control = os.dup(0)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    for held in filter(lambda number: number > 2, map(int, os.listdir("/dev/fd"))):  # noqa: PLR2004 - standard error
        try:
            os.set_inheritable(held, False)  # a lock that says that this guard lives, and not the program's business
        except OSError:
            continue  # the descriptor of the listing itself
    bell, ring = os.pipe()
    os.set_blocking(ring, False)
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    signal.set_wakeup_fd(ring)
    for number in (*_FORWARDED, *_IGNORED, signal.SIGCHLD):
        signal.signal(number, _note)
    family = _Family(_start(argv))
    while family.code is None:
        ready = select.select([control, bell], [], [])[0]
        if control in ready and not os.read(control, 1):
            break
        for rung in os.read(bell, 64) if bell in ready else b"":
            if rung in _FORWARDED:
                _send(family.main, rung)
        family.reap()
    family.kill()
    return _KILLED if family.code is None else family.code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
