"""Runs git, so that nothing but what we say decides what it does.

Work trees and mirrors are places where an agent may have written. So every call names its git directory, runs no hook
and no file system monitor, replaces no object, follows no submodule, asks nobody for a password, and forgets every
`GIT_*` variable that the caller happened to have (a `GIT_DIR` of a hook that started us must not decide which
repository we change).

Whose configuration is read besides the repository's own: nobody's, by default, so that a commit comes out the same on
every host whatever its user set (`core.autocrlf`, `core.excludesFile`, a clean filter). What reaches a remote, or
works in a person's own checkout, is run `as_user`: credentials, proxies, `insteadOf` and filters such as LFS are
theirs to choose.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import tempfile
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestrator.config import inherited_environment
from orchestrator.errors import GitError, InputError, SetupError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from pathlib import Path

LOCAL_SECONDS = 300.0
"""How long a command that stays on this machine may take."""
REMOTE_SECONDS = 900.0
"""How long a command that talks to another machine may take."""

_ALWAYS = (
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.quotePath=false",
    "protocol.ext.allow=never",
    "submodule.recurse=false",
    "commit.gpgSign=false",
    "push.gpgSign=false",
    "gc.auto=0",
    "maintenance.auto=false",
    "fetch.writeCommitGraph=false",
)
_ALONE = ("core.untrackedCache=false", f"core.excludesFile={os.devnull}", f"core.attributesFile={os.devnull}")
_FIXED = {
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_ADVICE": "0",
    "LC_ALL": "C",
}
_FIXED_ALONE = {"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull, "GIT_ATTR_NOSYSTEM": "1"}
# How a user says what their git is and how it reaches remotes; nothing here names a repository.
_USERS_OWN = re.compile(
    r"GIT_(SSH|SSH_COMMAND|SSH_VARIANT|ASKPASS|EXEC_PATH|SSL_\w+|PROXY_\w+|HTTP_\w+"
    r"|CONFIG_(GLOBAL|SYSTEM|NOSYSTEM|COUNT|KEY_\d+|VALUE_\d+))"
)
_CREDENTIALS = re.compile(r"(?<=://)[^/@\s]+@")
_BAD_REF = re.compile(r"(^[-/.])|(//)|(\.\.)|(/\.)|(@\{)|([\x00-\x20\x7f~^:?*\[\\])|((\.lock|[/.])(/|$))|(^@$)")
_SHOWN_COMMAND = 200
_SHOWN_LINES = 8


@dataclass(frozen=True)
class Answer:
    """What a git command came back with."""

    code: int
    out: bytes
    err: str


@dataclass(frozen=True)
class Signature:
    """Who made a commit, and when; given, so that the same work gives the same commit."""

    name: str
    email: str
    at: datetime

    def variables(self) -> dict[str, str]:
        """Say it the way git reads it, for author and committer alike, in UTC."""
        at = f"@{int(self.at.timestamp())} +0000"
        return {
            f"GIT_{role}_{field}": value
            for role in ("AUTHOR", "COMMITTER")
            for field, value in (("NAME", self.name), ("EMAIL", self.email), ("DATE", at))
        }


class Git:
    """Git on one repository.

    Args:
        git_dir: The repository itself (`.git`, or a bare one).
        work_tree: The work tree that commands work in; without one, commands run as in a bare repository.
        index: The index file to use in place of the repository's own.
        environment: What the commands inherit; by default, what this process inherited.
        as_user: Whether the user's and the system's git configuration are read too (see the module).
    """

    def __init__(
        self,
        git_dir: Path,
        work_tree: Path | None = None,
        index: Path | None = None,
        *,
        environment: Mapping[str, str] | None = None,
        as_user: bool = False,
    ) -> None:
        inherited = inherited_environment() if environment is None else environment
        kept = {
            name: value
            for name, value in inherited.items()
            if not name.startswith("GIT_") or (as_user and _USERS_OWN.fullmatch(name))
        }
        kept.pop("SSH_ASKPASS", None)  # nobody sits there to answer a window
        kept |= {**_FIXED, **({} if as_user else _FIXED_ALONE), "GIT_DIR": str(git_dir)}
        if work_tree is not None:
            kept["GIT_WORK_TREE"] = str(work_tree)
        if index is not None:
            kept["GIT_INDEX_FILE"] = str(index)
        self._environment = _encoded(kept)  # once, and not for each command
        settings = _ALWAYS if as_user else (*_ALWAYS, *_ALONE)
        self._command = ("git", "--no-pager", *(part for setting in settings for part in ("-c", setting)))
        self._directory = git_dir if work_tree is None else work_tree

    def run(
        self,
        *args: str,
        stdin: bytes = b"",
        ok: tuple[int, ...] = (0,),
        timeout: float = LOCAL_SECONDS,
        variables: Mapping[str, str] | None = None,
    ) -> bytes:
        """Run a command and return its standard output.

        Args:
            *args: The command and its arguments, as after `git`.
            stdin: What it reads.
            ok: The exit codes that are not an error.
            timeout: Seconds after which it is killed, with all that it started.
            variables: Environment variables for this command alone.

        Raises:
            GitError: It exited with another code, or took too long; carries the last lines that git said.
            SetupError: There is no git on this machine.
        """
        answer = self.ask(*args, stdin=stdin, timeout=timeout, variables=variables)
        if answer.code not in ok:
            raise failure(args, answer)
        return answer.out

    def ask(
        self,
        *args: str,
        stdin: bytes = b"",
        timeout: float = LOCAL_SECONDS,
        variables: Mapping[str, str] | None = None,
    ) -> Answer:
        """Run a command whose failure means something, and return all that it came back with."""
        with self._start(args, variables, stderr=subprocess.PIPE) as child:
            try:
                out, err = child.communicate(stdin, timeout)
            except subprocess.TimeoutExpired:
                _kill(child)
                child.communicate()
                message = f"{_shown(args)} took longer than {timeout:g} seconds and was stopped."
                raise GitError(message, "Check that the repository can be reached, and its disk.") from None
            except BaseException:
                _kill(child)
                raise
        return Answer(child.returncode, out, err.decode("utf-8", "replace"))

    def beginning(self, limit: int, *args: str, timeout: float = LOCAL_SECONDS) -> tuple[bytes, bool]:
        """Return at most `limit` bytes of what a command writes, and whether that was all of it.

        However much more the command would have written is neither waited for nor held in memory.
        """
        with tempfile.TemporaryFile() as err, self._start(args, None, stderr=err.fileno()) as child:
            if child.stdin is None or child.stdout is None:
                raise AssertionError  # both are pipes
            child.stdin.close()
            alarm = threading.Timer(timeout, _kill, (child,))
            alarm.start()
            try:
                out = child.stdout.read(limit)
                complete = not child.stdout.read(1)
                if not complete:
                    _kill(child)
                code = child.wait()
            finally:
                alarm.cancel()
                _kill(child)
            if complete and code:
                err.seek(0)
                raise failure(args, Answer(code, out, err.read().decode("utf-8", "replace")))
        return out, complete

    def _start(
        self, args: tuple[str, ...], variables: Mapping[str, str] | None, *, stderr: int
    ) -> subprocess.Popen[bytes]:
        try:
            # A session of its own: a Ctrl-C at the terminal cannot cut git short, and git has no terminal to ask.
            return subprocess.Popen(
                [*self._command, *args],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                cwd=self._directory,
                env=self._environment | _encoded(variables or {}),
                start_new_session=True,
            )
        except (FileNotFoundError, NotADirectoryError) as error:
            if self._directory.is_dir():
                raise SetupError(
                    "git is not installed here.", "Install git 2.38 or newer and put it on PATH."
                ) from error
            message = f"{_shown(args)} cannot run: the directory {self._directory} is not there."
            raise GitError(message) from error


def failure(args: tuple[str, ...], answer: Answer, remedy: str = "") -> GitError:
    """Make the error of a failed command: its name, its exit code, and the last lines that git said."""
    return GitError(f"{_shown(args)} failed (exit {answer.code}): {last_words(answer.err)}", remedy)


def last_words(err: str) -> str:
    """Take from git's standard error what a person needs: its last lines, without advice, and without credentials."""
    lines = [line.strip() for line in err.splitlines()]
    told = [line for line in lines if line and not line.startswith("hint:")]
    return redacted("; ".join(told[-_SHOWN_LINES:]) or "git said nothing")


def redacted(text: str) -> str:
    """Hide the credentials of every URL in a text."""
    return _CREDENTIALS.sub("***@", text)


def checked_ref(ref: str) -> str:
    """Return the name of a ref or branch as it is, if git could have such a one.

    Raises:
        InputError: It could not (git-check-ref-format(1)), or would be taken for an option.
    """
    if not ref or _BAD_REF.search(ref):
        raise InputError(
            f"{ref!r} is not a name that git allows for a branch.", "Use letters, digits, '-', '_' and '/'."
        )
    return ref


def git_directory(path: Path) -> Path | None:
    """Find the git directory of a repository by its path, be it bare, a checkout, or a linked work tree.

    Only the path itself is looked at, never what lies above it. Returns None where there is no repository.
    """
    inner = path / ".git"
    if inner.is_file():
        pointed = inner.read_text(encoding="utf-8", errors="surrogateescape").removeprefix("gitdir:").strip()
        inner = path / pointed
    for candidate in (inner, path):
        if (candidate / "HEAD").is_file() and ((candidate / "objects").is_dir() or (candidate / "commondir").is_file()):
            return candidate.resolve()
    return None


def _encoded(variables: Mapping[str, str]) -> dict[bytes, bytes]:
    return {os.fsencode(name): os.fsencode(value) for name, value in variables.items()}


def _shown(args: tuple[str, ...]) -> str:
    text = redacted(" ".join(("git", *args)))
    return text if len(text) <= _SHOWN_COMMAND else f"{text[:_SHOWN_COMMAND]}..."


def _kill(child: subprocess.Popen[bytes]) -> None:
    if child.poll() is None:  # once it is reaped, its number may be somebody else's
        os.killpg(child.pid, signal.SIGKILL)
