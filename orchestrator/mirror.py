"""A host's bare mirror of a repository: where commits come from, are made, and are pushed from.

Agents work in worktrees of the mirror, so the mirror knows no URL: whoever looks for a place to push to finds none,
and every exchange names the URL itself. An agent that is not confined could still write into the mirror. So before
each use its configuration is put back to the one constant text below, and the files by which git could be led
elsewhere are removed: no filter, merge driver, `insteadOf` or promisor remote that somebody set there is ever run by
us. (Whoever can write while we run can still race us: only the sandbox keeps an agent out. What we hold on to is
therefore SHAs, never refs.)
"""

from __future__ import annotations

import fcntl
import os
import shutil
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.commits import ChangeKind, Commits, Conflict, FileChange, Merge
from orchestrator.errors import GitError, InputError, NotFoundError
from orchestrator.git import (
    REMOTE_SECONDS,
    Answer,
    Git,
    Signature,
    checked_ref,
    failure,
    git_directory,
    last_words,
    redacted,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

__all__ = ["ChangeKind", "Conflict", "FileChange", "Merge", "Mirror", "Signature"]

OUR_REFS = "refs/shopfloor/"
TARGET_REFS = f"{OUR_REFS}target/"

_LETTER_CASE = "\tignoreCase = true\n\tprecomposeUnicode = true\n" if sys.platform == "darwin" else ""
# The identity is for an agent that commits by itself; whoever makes our own commits is always said.
_CONFIGURATION = f"""\
[core]
\trepositoryFormatVersion = 0
\tfileMode = true
\tbare = true
{_LETTER_CASE}[gc]
\tauto = 0
\tworktreePruneExpire = never
[maintenance]
\tauto = false
[commit]
\tgpgSign = false
[user]
\tname = Shopfloor agent
\temail = agent@shopfloor.invalid
[uploadpack]
\tallowAnySHA1InWant = true
"""
_MISLEADING = ("commondir", "config.worktree", "info/grafts", "info/attributes", "info/exclude")
_FETCH = (
    "fetch",
    "--quiet",
    "--no-tags",
    "--no-write-fetch-head",
    "--no-auto-maintenance",
    "--no-recurse-submodules",
    "--no-show-forced-updates",
    "--no-prune",
    "--update-shallow",
    "--update-head-ok",  # no branch is fetched into, so the worktrees, which come and go, need not be looked through
)
_PUSH = ("push", "--quiet", "--no-verify", "--no-follow-tags", "--recurse-submodules=no")
_WITHOUT_TIDYING = "--receive-pack=git -c receive.autogc=false receive-pack"
_TRIES = 6
_FIRST_PAUSE = 0.02
_HEAD = "ref: refs/heads/main\n"
_ABANDONED_SECONDS = 60.0  # a lock of git's that is older has lost its owner: a command here holds one for moments


class Mirror(Commits):
    """The mirror of one repository on this host, shared by all its processes.

    Args:
        path: Where the mirror is, or will be.
        url: The repository: a URL, or the path of one on this machine (bare, or somebody's checkout).
    """

    def __init__(self, path: Path, url: str) -> None:
        if not url or url.startswith("-"):
            raise InputError(f"{url!r} is not the URL of a repository.", "Give a URL, or the path of a repository.")
        local = Path(url.removeprefix("file://"))
        here = "://" not in url.removeprefix("file://") and (local.is_absolute() or local.exists())
        super().__init__(Git(path))
        self.path = path
        self.local = local.absolute() if here else None
        self.url = str(self.local) if self.local is not None else url
        self._reaching = Git(path, as_user=True)
        self._config = path / "config"
        self._misleading = tuple(path / name for name in _MISLEADING)

    @property
    def git(self) -> Git:
        """Git on the mirror, which has been put right."""
        self._put_right()
        return self._git

    def ensure(self) -> None:
        """Make the mirror if it is not there, or mend one that git would not know; many processes may ask at once."""
        if not self._stands():
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with exclusively(self.path):
                if not self._stands():
                    self._mend()
        self._put_right()

    def fetch_target(self, branch: str) -> str:
        """Bring the mirror up to the tip of a branch, and return its SHA as the repository itself named it.

        Raises:
            NotFoundError: The repository has no such branch.
            InputError: The repository has no commit at all.
            GitError: The repository cannot be reached, or git failed.
        """
        kept = TARGET_REFS + checked_ref(branch)
        ref = f"refs/heads/{branch}"
        for _ in range(_TRIES):
            tip = self.seen(ref)
            if tip is None:
                raise self._missing(branch)
            if self._kept(kept) == tip:
                return tip
            if self._is_whole(tip):  # we made it ourselves, most likely; that the ref says so saves the next look
                self.git.ask("update-ref", kept, tip)
                return tip
            self._fetch(f"+{ref}:{kept}", expected=kept)
            if self._kept(kept) == tip or self.has(tip):
                return tip
        raise GitError(
            f"The branch {branch} of {redacted(self.url)} moves faster than it can be fetched.", "Try again later."
        )

    def fetch_commit(self, ref: str, sha: str) -> None:
        """Bring a commit into the mirror that the repository keeps under a ref, or kept there until it moved on.

        Raises:
            GitError: The repository cannot be reached, or has no such commit.
        """
        kept = ref if checked_ref(ref).startswith(OUR_REFS) else f"{OUR_REFS}fetched/{ref.removeprefix('refs/')}"
        if self._kept(kept) == sha or self._is_whole(sha):
            return
        if self.seen(ref) is not None:
            self._fetch(f"+{ref}:{kept}", expected=kept)
        if self._kept(kept) != sha and not self.has(sha):
            self._fetch(sha)

    def seen(self, ref: str) -> str | None:
        """Ask the repository where a ref is now; None where there is no such ref."""
        if self.local is None:
            return self._listed(ref).get(ref)
        answer = self._here().ask("rev-parse", "--verify", "--quiet", f"{ref}^0")
        return answer.out.decode().strip() if answer.code == 0 else None

    def under(self, prefix: str) -> dict[str, str]:
        """List the refs of the repository whose names begin with a prefix that ends in `/`, and where they are.

        Raises:
            GitError: The repository cannot be reached.
        """
        return self._listed(f"{prefix}*")

    def push(self, ref: str, commit: str, expected: str | None) -> bool:
        """Move a ref of the repository to a commit, if it is where it is expected to be.

        Args:
            ref: The full name, such as `refs/heads/main`.
            commit: What it shall point to; any commit here, descendant of the old one or not.
            expected: Where it must be now; None if it must not exist.

        Returns:
            True if the ref is at the commit now (also if it was already); False if it was elsewhere: nothing was done.

        Raises:
            GitError: Anything else, such as a hook of the repository that said no.
        """
        return self._push(ref, commit, expected)

    def delete(self, ref: str, expected: str | None) -> bool:
        """Delete a ref of the repository, if it is where it is expected to be; True if it is gone now."""
        return expected is None or self._push(ref, None, expected)

    def delete_each(self, refs: Mapping[str, str]) -> bool:
        """Delete several refs of ours in the repository at the price of one, each that is where it is expected to be.

        In a repository on this machine they are deleted without a push: no hook of its has a say in refs of ours.

        Args:
            refs: Where each ref must be now, by its full name.

        Returns:
            True if all of them are gone now.

        Raises:
            GitError: Anything else, such as a repository that cannot be reached.
        """
        if not refs:
            return True
        if self.local is not None and all(checked_ref(ref).startswith(OUR_REFS) for ref in refs):
            orders = "".join(f"delete {ref} {expected}\n" for ref, expected in refs.items())
            answer = self._here().ask("update-ref", "--stdin", stdin=orders.encode())
        else:
            leases = [f"--force-with-lease={checked_ref(ref)}:{expected}" for ref, expected in refs.items()]
            answer = self._asked_to_push(leases, [f":{ref}" for ref in refs])
        if answer.code == 0:
            return True
        gone = [self.delete(ref, expected) for ref, expected in refs.items()]  # one by one: one may be in the way
        return all(gone)

    def remember(self, ref: str, commit: str) -> None:
        """Keep a commit in the mirror, under a ref of our own.

        Raises:
            InputError: The ref is not below `refs/shopfloor/`.
        """
        if not checked_ref(ref).startswith(OUR_REFS):
            raise InputError(f"{ref} is not a ref of ours.", f"Name one below {OUR_REFS}.")
        if self._kept(ref) != commit:
            self.git.run("update-ref", ref, commit)

    def forget(self, ref: str) -> None:
        """Delete a ref of our own in the mirror, if it is there."""
        if not checked_ref(ref).startswith(OUR_REFS):
            raise InputError(f"{ref} is not a ref of ours.", f"Name one below {OUR_REFS}.")
        self.git.run("update-ref", "-d", ref)

    def _push(self, ref: str, commit: str | None, expected: str | None) -> bool:
        lease = f"--force-with-lease={checked_ref(ref)}:{expected or ''}"
        refspec = f"{commit or ''}:{ref}"
        answer = self._asked_to_push([lease], [refspec])
        if answer.code == 0:
            return True
        # Refused by us ("stale info") or by the other side, whose words differ: where the ref is now says which it was.
        now = self.seen(ref)
        if now == commit:
            return True
        if now != expected:
            return False
        command = (*_PUSH, lease, self.url, refspec)
        raise failure(command, answer, "See what the repository's hooks and protections ask for.")

    def _asked_to_push(self, leases: Sequence[str], refspecs: Sequence[str]) -> Answer:
        """Push, and return what git said. The repository tidies itself up (`gc --auto`) when a branch is pushed."""
        self._put_right()
        ours = all(refspec.partition(":")[2].startswith(OUR_REFS) for refspec in refspecs)
        quickly = (_WITHOUT_TIDYING,) if ours and self.local is not None else ()
        command = ("-c", "push.pushOption=", *_PUSH, *quickly, *leases, self.url, *refspecs)
        return self._reaching.ask(*command, timeout=REMOTE_SECONDS)

    def _fetch(self, refspec: str, expected: str | None = None) -> None:
        """Fetch; where somebody else holds the lock of the ref, see whether they brought it, or wait for a moment."""
        self._put_right()
        pause = _FIRST_PAUSE
        for attempt in range(1, _TRIES + 1):
            answer = self._reaching.ask(*_FETCH, self.url, refspec, timeout=REMOTE_SECONDS)
            if answer.code == 0:
                return
            held = _is_held(answer) and (self._break_abandoned_locks() or expected is not None)
            if attempt == _TRIES or not (held or _meets_half_a_worktree(answer)):
                raise self._unreachable(answer)
            time.sleep(pause)  # a lock of git's can only be polled
            pause *= 2

    def _here(self) -> Git:
        """Git on the repository itself, which is on this machine."""
        directory = git_directory(self.local) if self.local is not None else None
        if directory is None:
            raise GitError(f"There is no git repository at {self.local}.", "Check the path of the repository.")
        return Git(directory, as_user=True)

    def _listed(self, *patterns: str) -> dict[str, str]:
        self._put_right()
        answer = self._reaching.ask("ls-remote", "--quiet", self.url, *patterns, timeout=REMOTE_SECONDS)
        if answer.code:
            raise self._unreachable(answer)
        lines = answer.out.decode("utf-8", "surrogateescape").splitlines()
        return {name: sha for sha, _, name in (line.partition("\t") for line in lines)}

    def _missing(self, branch: str) -> InputError:
        heads = [name.removeprefix("refs/heads/") for name in self._listed() if name.startswith("refs/heads/")]
        if not heads:
            return InputError(f"The repository {redacted(self.url)} has no commit yet.", "Make a first commit on it.")
        return NotFoundError(
            f"The repository {redacted(self.url)} has no branch {branch!r}; it has {', '.join(sorted(heads)[:10])}.",
            "Name one of them as the target, or push it.",
        )

    def _unreachable(self, answer: Answer) -> GitError:
        return GitError(
            f"Nothing can be fetched from {redacted(self.url)}: {last_words(answer.err)}",
            "Check the URL, the network, and the credentials that git finds on this host.",
        )

    def _is_whole(self, commit: str) -> bool:
        """Say whether a commit is here with all its history and files, by the test that `git fetch` itself makes."""
        return self.git.ask("rev-list", "--objects", "--quiet", commit, "--not", "--all", "--").code == 0

    def _kept(self, ref: str) -> str | None:
        """Read a loose ref of the mirror without starting git. A packed one is as good as unknown."""
        try:
            return (self.path / ref).read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError):
            return None

    def _break_abandoned_locks(self) -> bool:
        """Remove the locks that a git left here that was killed, which would keep everybody out; True if there were."""
        oldest = time.time() - _ABANDONED_SECONDS
        locks = (*self.path.glob("*.lock"), *(self.path / "refs").rglob("*.lock"))
        broken = [lock for lock in locks if lock.lstat().st_mtime < oldest]
        for lock in broken:
            lock.unlink(missing_ok=True)
        return bool(broken)

    def _stands(self) -> bool:
        """Whether it has what git knows a repository by (gitrepository-layout(5))."""
        parts = (self.path / "objects", self.path / "refs")
        return (self.path / "HEAD").is_file() and all(part.is_dir() for part in parts)

    def _mend(self) -> None:
        """Make the mirror; of one that somebody broke, keep the objects, which may be salvage of a task's work."""
        if (self.path / "objects").is_dir():
            (self.path / "refs").mkdir(exist_ok=True)
            (self.path / "HEAD").write_text(_HEAD, encoding="ascii")
            return
        if self.path.exists():
            shutil.rmtree(self.path)  # without objects there is nothing in it
        self._make()

    def _make(self) -> None:
        made = Path(tempfile.mkdtemp(prefix=".new-", dir=self.path.parent))
        try:
            Git(made).run("init", "--quiet", "--bare", "--template=", "--initial-branch=main")
            (made / "config").write_text(_CONFIGURATION, encoding="ascii")
            made.rename(self.path)
        finally:
            shutil.rmtree(made, ignore_errors=True)

    def _put_right(self) -> None:
        for path in self._misleading:
            _take_away(path)
        config = self._config
        try:
            found = config.read_bytes()
        except FileNotFoundError:
            found = b""
        except IsADirectoryError:
            _take_away(config)
            found = b""
        if found != _CONFIGURATION.encode() and self.path.is_dir():
            handle, written = tempfile.mkstemp(prefix=".config-", dir=self.path)
            with os.fdopen(handle, "wb") as file:
                file.write(_CONFIGURATION.encode())
            Path(written).replace(config)


@contextmanager
def exclusively(path: Path) -> Iterator[None]:
    """Hold the lock by which the processes of this host take turns at changing what the mirror at a path is made of."""
    with path.with_name(f"{path.name}.lock").open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        try:
            yield
        finally:
            # Closing is not enough: a process of the pool that was forked meanwhile has the file open as well.
            fcntl.flock(file, fcntl.LOCK_UN)


def _take_away(path: Path) -> None:
    """Remove a file, or a directory in its place."""
    try:
        path.unlink(missing_ok=True)
    except OSError:  # which one it is for a directory, systems do not agree on
        if path.is_symlink() or not path.is_dir():
            raise
        shutil.rmtree(path, ignore_errors=True)  # another process may be at it, too


def _meets_half_a_worktree(answer: Answer) -> bool:
    """Say whether a fetch met a worktree of the mirror that is just being made: its HEAD is all zeros at first."""
    return "bad object worktrees/" in answer.err


def _is_held(answer: Answer) -> bool:
    return any(
        words in answer.err for words in ("cannot lock ref", ".lock': File exists", "unable to update local ref")
    )
