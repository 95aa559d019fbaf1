"""Runs one command and, when it ends or is no longer wanted, leaves nothing of it alive.

A stand-alone script: standard library only, nothing of this project, few imports, because it is started once for every
command (`python -I -S reaper.py CONTROL REPORT DIRECTORY LIMITS PROGRAM [WORD...]`).

CONTROL is the read end of a pipe whose only other end the worker holds: end of file on it (the worker closed it, or was
killed -9) means "kill everything now". REPORT is the write end of a pipe on which one line tells the outcome:

    exited CODE | signalled NUMBER | failed STAGE ERRNO      (STAGE: fork, limits, chdir, exec)

The script is a child subreaper (prctl(2), PR_SET_CHILD_SUBREAPER): whatever the command does (setsid, a double fork),
each of its descendants has this process as an ancestor until it is dead. So "no children left" (ECHILD) is the proof
that the tree is gone, and it is the only thing that lets this script report. Elsewhere than on Linux there is no such
call; there the command's process group is killed, and what left the group escapes.
"""
# ruff: noqa: PTH110, PTH112, PTH123, PTH208, SIM105 -- pathlib and contextlib would double the time this takes to start

from __future__ import annotations

import os
import resource
import select
import sys

# The C halves of `signal` and `ctypes`: what these wrap around them (enum, struct) would double the time that this
# takes to start, which is paid once for every command.
TYPE_CHECKING = False
if TYPE_CHECKING:
    import ctypes
    import signal
    from typing import Any

    _ctypes: Any
else:
    try:
        import _ctypes
        import _signal as signal
    except ImportError:  # another Python than CPython
        import ctypes
        import signal

        _ctypes = None

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
# An agent's careless `pkill python` must not reach the one process that can clear up after it.
_IGNORED = (
    signal.SIGHUP,
    signal.SIGINT,
    signal.SIGQUIT,
    signal.SIGTERM,
    signal.SIGUSR1,
    signal.SIGUSR2,
    signal.SIGALRM,
    signal.SIGTSTP,
    signal.SIGTTIN,
    signal.SIGTTOU,
)


def _prctl(option: int, value: int) -> None:
    if sys.platform != "linux":
        return
    if _ctypes is None:
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)
    else:
        _ctypes.call_function(_ctypes.dlsym(_ctypes.dlopen(None, 0), "prctl"), (option, value, 0, 0, 0))


def adopt_orphans(*, adopt: bool) -> None:
    """Makes this process the new parent of every descendant whose own parent dies, or no longer."""
    _prctl(_PR_SET_CHILD_SUBREAPER, int(adopt))


def children(pid: int) -> list[int]:
    """Lists the direct children of a process, zombies included; empty if it is gone, or if there is no Linux /proc."""
    if not os.path.exists("/proc/thread-self/children"):
        return _children_by_parent(pid)
    found: list[int] = []
    try:
        for thread in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{thread}/children", encoding="ascii") as listing:
                found += map(int, listing.read().split())
    except (FileNotFoundError, ProcessLookupError):
        pass  # it, or one of its threads, ended meanwhile: its children are somebody else's now and found there
    return found


def _children_by_parent(pid: int) -> list[int]:
    """Does the same on a kernel without CONFIG_PROC_CHILDREN, by asking every process for its parent."""
    found: list[int] = []
    for name in filter(str.isdigit, os.listdir("/proc") if os.path.isdir("/proc") else ()):
        try:
            with open(f"/proc/{name}/stat", "rb") as stat:
                parent = int(stat.read().rpartition(b")")[2].split()[1])  # proc(5): state, then ppid
        except (FileNotFoundError, ProcessLookupError):
            continue
        if parent == pid:
            found.append(int(name))
    return found


def _send(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except (ProcessLookupError, PermissionError):
        pass  # gone; or not ours to kill, which the missing report tells the worker


def kill_trees(roots: list[int]) -> None:
    """Sends SIGKILL to the given processes and all that descend from them.

    Every process is stopped the moment it is found and before its children are listed, until two passes find the same
    ones: so a tree that forks as fast as it can stands still before the first of it is killed. Only what the last pass
    found is killed: in a long fight a number noted earlier may be somebody else's by now.

    Args:
        roots: Process ids.
    """
    found: list[int] = []
    while (standing := _freeze(roots)) != found:
        found = standing
    for pid in found:
        _send(pid, signal.SIGKILL)


def _freeze(roots: list[int]) -> list[int]:
    """Stops the trees, and lists what they consist of."""
    found: list[int] = []
    pending = list(roots)
    while pending:
        pid = pending.pop()
        _send(pid, signal.SIGSTOP)
        found.append(pid)
        pending += children(pid)
    return found


def _take_precedence() -> None:
    """Gets ahead of a thousand processes that all want the processor, where this user may (root)."""
    if sys.platform == "linux":
        try:
            os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
        except OSError:
            pass  # not allowed, or no such thing here: then it takes longer


class _Family:
    """Everything that came of the command.

    Args:
        main: Process id of the command itself.
    """

    def __init__(self, main: int) -> None:
        self.main = main
        self.status: int | None = None

    def reap(self, *, wait: bool = False) -> bool:
        """Takes note of the dead, first waiting for one to die if asked; says whether anything is left."""
        try:
            while True:
                pid, status = os.waitpid(-1, 0 if wait else os.WNOHANG)
                wait = False
                if pid == self.main:
                    self.status = status
                if pid == 0:
                    return True
        except ChildProcessError:
            return False

    def exterminate(self) -> None:
        """Kills all of it, and returns when none of it exists."""
        if sys.platform != "linux":
            try:
                os.killpg(self.main, signal.SIGKILL)
            except (ProcessLookupError, PermissionError):
                pass  # the group is empty
        if self.reap():
            _take_precedence()
        while self.reap():
            kill_trees(children(os.getpid()))
            self.reap(wait=True)


def _start(argv: list[str], directory: str, limits: str) -> int | str:
    """Starts the command in a session of its own; returns its process id, or why there is none ("STAGE ERRNO")."""
    failure, tell = os.pipe()
    reaper = os.getpid()
    try:
        main = os.fork()
    except OSError as error:
        return f"fork {error.errno}"
    if main == 0:
        stage = "limits"
        try:
            _leave_nothing_of_the_reaper(reaper)
            for limit in filter(None, limits.split(",")):
                name, _, value = limit.partition("=")
                kind = getattr(resource, "RLIMIT_" + name.upper())
                most = resource.getrlimit(kind)[1]
                bound = int(value) if most == resource.RLIM_INFINITY else min(int(value), most)
                resource.setrlimit(kind, (bound, bound))
            stage = "chdir"
            os.chdir(directory)
            stage = "exec"
            os.execvp(argv[0], argv)  # noqa: S606 -- no shell is what is wanted
        except OSError as error:
            os.write(tell, f"{stage} {error.errno}".encode())
        finally:
            os._exit(127)
    os.close(tell)
    text = os.read(failure, 64).decode()  # end of file: exec closed the other end, the command runs
    os.close(failure)
    if text:
        os.waitpid(main, 0)
    return text or main


def _leave_nothing_of_the_reaper(reaper: int) -> None:
    """In the new process: its own session, plain signals, and death with the reaper rather than life without it."""
    os.setsid()
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != reaper:  # it died before the line above
        os._exit(127)
    signal.set_wakeup_fd(-1)
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        signal.signal(number, signal.SIG_DFL)


def _forget_our_locale() -> None:
    """Takes back the LC_CTYPE that Python adds to an environment without a locale (PEP 538)."""
    if "LC_CTYPE" in os.environ and sys.platform == "linux":  # noqa: TID251 - it stands alone, and imports nothing of ours
        with open("/proc/self/environ", "rb") as given:
            if b"\0LC_CTYPE=" not in b"\0" + given.read():
                del os.environ["LC_CTYPE"]  # noqa: TID251 - as above


def _let_go_of_streams() -> None:
    """Keeps no end of the command's streams, so that their end of file means the command's."""
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nothing, stream)
    os.close(nothing)


def main(control: int, report: int, directory: str, limits: str, argv: list[str]) -> None:
    """Runs the command until it ends or the control pipe does, kills what is left, and reports.

    Args:
        control: File descriptor whose end of file means that the worker is gone or wants no more of this.
        report: File descriptor for the one line that this ends with.
        directory: Working directory of the command.
        limits: Resource limits by their names in setrlimit(2), such as "core=0,fsize=1000000" (bytes).
        argv: The command; its first word is looked up on PATH if it has no slash.
    """
    os.set_inheritable(control, False)
    os.set_inheritable(report, False)
    for number in _IGNORED:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    woken, wake = os.pipe()
    os.set_blocking(woken, False)
    os.set_blocking(wake, False)
    signal.signal(signal.SIGCHLD, lambda _number, _frame: None)  # a handler, so that a death is written to `wake`
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    adopt_orphans(adopt=True)

    _forget_our_locale()
    started = _start(argv, directory, limits)
    if isinstance(started, str):
        os.write(report, f"failed {started}".encode())
        return
    _let_go_of_streams()
    family = _Family(started)
    events = select.poll()
    events.register(control, select.POLLIN)
    events.register(woken, select.POLLIN)
    wanted = True
    while wanted and family.reap() and family.status is None:
        ready = [descriptor for descriptor, _ in events.poll()]
        wanted = control not in ready
        if woken in ready:
            os.read(woken, 4096)
    family.exterminate()
    code = os.waitstatus_to_exitcode(family.status or 0)
    os.write(report, f"exited {code}".encode() if code >= 0 else f"signalled {-code}".encode())


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4], sys.argv[5:])
    os._exit(0)  # nothing to tidy up that the kernel does not
