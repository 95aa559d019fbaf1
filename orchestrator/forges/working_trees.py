"""The working trees of a repository on this machine, which belong to the people who sit at them.

A branch that is checked out cannot just be moved: its files would stay behind, and the next commit made there would
undo what landed. So the files follow, by git's own fast-forward, or nothing moves. What is not committed there
(changed, staged, untracked, ignored) is never touched.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.errors import GitError
from orchestrator.forge import Blocked, Landed, Moved
from orchestrator.git import Answer, Git, failure, git_directory, last_words

if TYPE_CHECKING:
    from collections.abc import Iterable

_UNDER_WAY = {
    "MERGE_HEAD": "a merge",
    "CHERRY_PICK_HEAD": "a cherry-pick",
    "REVERT_HEAD": "a revert",
    "rebase-merge": "a rebase",
    "rebase-apply": "a rebase",
    "sequencer": "a series of cherry-picks or reverts",
}
_HEAD_NAMES = ("rebase-merge/head-name", "rebase-apply/head-name")
_REFLOG = {
    "GIT_REFLOG_ACTION": "shopfloor: land",
    "GIT_COMMITTER_NAME": "Shopfloor",
    "GIT_COMMITTER_EMAIL": "shopfloor@shopfloor.invalid",
}
# A branch may be configured to merge in ways of its own (branch.<name>.mergeOptions): all of them are overruled.
_FAST_FORWARD = (
    "merge",
    "--ff-only",
    "--no-overwrite-ignore",
    "--commit",
    "--no-squash",
    "--no-autostash",
    "--no-verify-signatures",
    "--no-stat",
    "--quiet",
)
# How many fields of `git status --porcelain=v2` stand before the path, by the record's first letter.
_FIELDS_BEFORE_PATH = {"1": 8, "2": 9, "u": 10}
_SHOWN_PATHS = 5


@dataclass(frozen=True)
class WorkingTree:
    """One working tree.

    Attributes:
        path: Its root.
        git_dir: Its own git directory (of a linked one, that below `worktrees/` of the repository).
        branch: The branch that it has checked out, or would have again after a rebase; None if HEAD is detached.
        missing: Whether its directory is not there, and git has not been told to forget it.
    """

    path: Path
    git_dir: Path
    branch: str | None
    missing: bool = False

    def advance(self, candidate: str, expected: str) -> Landed | Moved | Blocked:
        """Fast-forward the checked-out branch, with its files, from the expected commit to one that is here already."""
        if stands := self._in_the_way():
            return Blocked(stands)
        git = Git(self.git_dir, self.path, as_user=True)
        here, branch, dirty = _status(git)
        if branch != self.branch or here != expected:
            return self._moved(git)
        if dirty:
            return Blocked(
                f"In {self.path}, where {self.branch} is checked out, these files have changes that are not committed: "
                f"{_listed(dirty)}. Commit or stash them there."
            )
        answer = git.ask(*_FAST_FORWARD, candidate, variables=_REFLOG)
        if answer.code == 0:
            return self._arrived(git, candidate)
        return self._refused(git, answer, expected)

    def _in_the_way(self) -> str | None:
        if self.missing:
            return (
                f"{self.branch} is checked out in {self.path}, which is not there. "
                f"Bring it back, or give it up with: git worktree prune"
            )
        begun = next((what for name, what in _UNDER_WAY.items() if (self.git_dir / name).exists()), None)
        return begun and f"In {self.path}, {begun} of {self.branch} is under way. Finish or abort it there."

    def _refused(self, git: Git, answer: Answer, expected: str) -> Moved | Blocked:
        """Say why git did not fast-forward."""
        in_the_way = [line.strip() for line in answer.err.splitlines() if line.startswith("\t")]
        if in_the_way:
            return Blocked(
                f"In {self.path}, where {self.branch} is checked out, landing would overwrite {_listed(in_the_way)}. "
                f"Move or commit what stands there."
            )
        if "index.lock" in answer.err:
            return Blocked(f"Another git command is at work in {self.path}: {last_words(answer.err)}. Let it finish.")
        if _tip(git, self.branch or "HEAD") != expected:
            return self._moved(git)
        raise failure(_FAST_FORWARD, answer)

    def _moved(self, git: Git) -> Moved:
        return Moved(_tip(git, self.branch or "HEAD"))

    def _arrived(self, git: Git, candidate: str) -> Landed:
        tip = _tip(git, self.branch or "HEAD")
        if tip == candidate or (tip and git.ask("merge-base", "--is-ancestor", candidate, tip).code == 0):
            return Landed(candidate)
        raise GitError(
            f"While {candidate} was landing, somebody switched branches in {self.path}: the other one moved.",
            "Take that back there with: git reset --keep ORIG_HEAD",
        )


def working_trees(repository: Path) -> tuple[WorkingTree, ...]:
    """Find all working trees of a repository: its own, and the linked ones.

    Args:
        repository: The root of a checkout, or of a linked one, or a bare repository.

    Raises:
        GitError: There is no repository.
    """
    own = git_directory(repository)
    if own is None:
        raise GitError(f"There is no git repository at {repository}.", "Check the path of the repository.")
    listed = Git(own, as_user=True).run("worktree", "list", "--porcelain", "-z")
    trees: list[WorkingTree] = []
    for number, block in enumerate(os.fsdecode(listed).split("\0\0")):
        fields = dict(line.partition(" ")[::2] for line in block.strip("\0").split("\0") if line)
        if "bare" in fields or "worktree" not in fields:
            continue
        # What git says of the main one is a guess from the git directory's name, wrong for a submodule.
        is_ours = number == 0 and not (own / "commondir").exists()
        path = repository if is_ours else Path(fields["worktree"])
        git_dir = git_directory(path)
        branch = _branch(git_dir or own, fields.get("branch"))
        trees.append(WorkingTree(path, git_dir or own, branch, missing=git_dir is None))
    return tuple(trees)


def _branch(git_dir: Path, ref: str | None) -> str | None:
    for name in _HEAD_NAMES if ref is None else ():
        if (git_dir / name).is_file():
            ref = (git_dir / name).read_text(encoding="utf-8", errors="surrogateescape").strip()
    return ref.removeprefix("refs/heads/") if ref and ref.startswith("refs/heads/") else None


def _status(git: Git) -> tuple[str, str, list[str]]:
    """Return the commit, the branch, and the tracked files that differ from the commit."""
    options = ("--porcelain=v2", "--branch", "-z", "--untracked-files=no", "--ignore-submodules=dirty")
    records = iter(os.fsdecode(git.run("status", *options)).split("\0"))
    headers: dict[str, str] = {}
    dirty = []
    for record in records:
        if record.startswith("# "):
            name, _, value = record[2:].partition(" ")
            headers[name] = value
        elif record:
            dirty.append(record.split(" ", _FIELDS_BEFORE_PATH[record[0]])[-1])
            if record[0] == "2":
                next(records)  # the name it had before
    return headers.get("branch.oid", ""), headers.get("branch.head", ""), dirty


def _tip(git: Git, branch: str) -> str | None:
    ref = branch if branch == "HEAD" else f"refs/heads/{branch}"
    answer = git.ask("rev-parse", "--verify", "--quiet", f"{ref}^0")
    return answer.out.decode().strip() if answer.code == 0 else None


def _listed(paths: Iterable[str]) -> str:
    named = list(paths)
    shown = ", ".join(named[:_SHOWN_PATHS])
    return shown if len(named) <= _SHOWN_PATHS else f"{shown} and {len(named) - _SHOWN_PATHS} more"
