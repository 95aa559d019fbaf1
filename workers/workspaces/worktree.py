"""Workspaces by `git worktree add`: a worktree of the host's mirror, with a detached HEAD.

    <root>/trees/<name>/       the worktree; its git directory is <mirror>/worktrees/<name>
    <root>/records/<name>/     ours alone: `mirror`, the path of the mirror, written first; `index`, written last
    <root>/trash/              what is being removed: moved here first, so that a name is free at once

Our index is the one that the files were checked out by, the worktree's a copy of it with its times, so that nobody
hashes a file again that is what it was. All that we do with the files goes by our index and by the mirror's git
directory: what an agent does to its own index, HEAD, branches or `.git` is for itself alone. Only directories that
git made are removed by hand, because `git worktree remove` refuses what an agent may leave behind.

Branches that a worktree made live in the mirror, where the next attempt would trip over them: they go with the
worktree.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
import tempfile
import uuid
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.errors import GitError, InputError
from orchestrator.git import Git, failure
from orchestrator.mirror import exclusively
from workers.workspaces.removal import make_writable, remove_tree

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.git import Answer, Signature
    from orchestrator.mirror import Mirror

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_SUBMODULE = "160000"
# How an entry's mode of a submodule is stored in every version of the index (gitformat-index(5)).
_SUBMODULE_IN_INDEX = b"\x00\x00\xe0\x00"
_SWITCHED = re.compile(r"checkout: moving from (\S+) to (\S+)$")
_KEPT_IN_GIT_DIR = ("HEAD", "commondir", "gitdir", "logs")
_UNREADABLE = re.compile(r"(?:could not open directory|open\()\s*[\"'](.+?)[\"']\)?: Permission denied")
_NESTED = re.compile(r"error: '(.+?)/?' does not have a commit checked out")
_NOT_A_FILE = re.compile(r"error: (.+?): can only add regular files, symbolic links or git-directories")


class WorktreeWorkspaces:
    """Makes worktrees.

    Args:
        root: The directory that all of them live below; only ours.
    """

    def __init__(self, root: Path) -> None:
        self._root = root.absolute()

    def prepare(self, mirror: Mirror, name: str, commit: str) -> WorktreeWorkspace:
        """Make a worktree, or reset the one that stands."""
        if not _NAME.fullmatch(name) or name.endswith(".lock"):
            raise InputError(f"{name!r} cannot name a workspace.", "Use letters, digits, '.', '_' and '-'.")
        workspace = WorktreeWorkspace(self._root, mirror.path, name, mirror)
        if workspace.is_whole():
            workspace.reset(commit)
        else:
            workspace.remove()
            workspace.make(commit)
        return workspace

    def find(self, mirror: Mirror, name: str) -> WorktreeWorkspace | None:
        """Return the worktree that stands."""
        workspace = WorktreeWorkspace(self._root, mirror.path, name, mirror)
        return workspace if workspace.is_whole() else None

    def sweep(self, keep: set[str]) -> tuple[str, ...]:
        """Remove the worktrees that nobody keeps, and what removals before this one could not."""
        found = {path.name for part in ("trees", "records") for path in _listed(self._root / part)}
        swept = sorted(found - keep)
        for name in swept:
            record = self._root / "records" / name / "mirror"
            mirror = Path(os.fsdecode(record.read_bytes())) if record.is_file() else None
            _remove(self._root, mirror, name)
        for left in _listed(self._root / "trash"):
            remove_tree(left)
        return tuple(swept)


class WorktreeWorkspace:
    """One worktree."""

    def __init__(self, root: Path, mirror_path: Path, name: str, mirror: Mirror) -> None:
        self.path = root / "trees" / name
        self._root = root
        self._name = name
        self._mirror = mirror
        self._git_dir = mirror_path / "worktrees" / name
        self._record = root / "records" / name
        self._index = self._record / "index"

    def is_whole(self) -> bool:
        """Whether it was made to the end, and still stands."""
        return self._index.is_file() and self.path.is_dir() and not self.path.is_symlink()

    def make(self, commit: str) -> None:
        """Make it, where nothing stands."""
        self._record.mkdir(parents=True)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        (self._record / "mirror").write_bytes(os.fsencode(self._mirror.path))
        git = self._mirror.git
        # One at a time: `git worktree add` gives up if it meets another one half-made ("failed to read .../commondir").
        with exclusively(self._mirror.path):
            git.run("worktree", "add", "--quiet", "--detach", "--no-checkout", str(self.path), commit)
        fresh = self._record / "index.new"
        Git(self._mirror.path, self.path, fresh).run("read-tree", "--reset", "-u", commit)
        shutil.copy2(fresh, self._git_dir / "index")
        fresh.replace(self._index)

    def reset(self, commit: str) -> None:
        """Make the files, and what git inside the worktree knows of them, those of a commit."""
        self._check_stands()
        with self._index_at_work() as index:
            git = self._git(index)
            self._insist(git, "read-tree", "--reset", "-u", commit)
            self._insist(git, "clean", "-ffdq")
        self._restore_git_dir(commit)

    def snapshot(self, parent: str, message: str, signature: Signature) -> str:
        """Commit the files, by an index of our own."""
        self._check_stands()
        with self._index_at_work() as index:
            git = self._git(index)
            populated = self._populated_submodules(git, index)
            answer = git.ask("add", "--all", "--", ".", *(f":(exclude,top,literal){path}" for path in populated))
            _check_added(answer, self._name)
            changed = git.run("diff-index", "--cached", "--raw", "-z", "--no-renames", parent)
            if not changed:
                return parent
            _check_not_nested(changed, self._name)
            tree = git.run("write-tree").decode().strip()
        return self._mirror.commit(tree, (parent,), message, signature)

    def remove(self) -> None:
        """Remove the files, git's record of the worktree, its branches, and our own record."""
        _remove(self._root, self._mirror.path, self._name)

    def _git(self, index: Path) -> Git:
        self._mirror.ensure()  # puts it right
        return Git(self._mirror.path, self.path, index)

    def _check_stands(self) -> None:
        if not self.is_whole():
            raise GitError(
                f"The workspace {self._name} is gone, or something else is in its place.", "Prepare it again."
            )

    @contextmanager
    def _index_at_work(self) -> Iterator[Path]:
        """Lend a copy of the index, and keep it only if all went well: a crash or a refusal leaves the last one."""
        handle, name = tempfile.mkstemp(prefix="index.", dir=self._record)
        os.close(handle)
        copy = Path(name)
        try:
            shutil.copy2(self._index, copy)  # with its times, or git could take a changed file for an unchanged one
            yield copy
            copy.replace(self._index)
        finally:
            copy.unlink(missing_ok=True)
            copy.with_name(f"{copy.name}.lock").unlink(missing_ok=True)

    def _insist(self, git: Git, *args: str) -> None:
        """Run a command that writes files, once more with every directory writable if it could not write."""
        answer = git.ask(*args)
        if "Permission denied" in answer.err:  # `git clean` may say so and still exit with 0
            make_writable(self.path)
            answer = git.ask(*args)
        if answer.code:
            raise failure(args, answer)

    def _populated_submodules(self, git: Git, index: Path) -> list[str]:
        """Find the submodules that somebody filled: git would run in them, by a configuration that an agent wrote.

        They are left out, and so stay at the commit that they are at in the parent.
        """
        if _SUBMODULE_IN_INDEX not in index.read_bytes():
            return []
        listed = os.fsdecode(git.run("ls-files", "--stage", "-z")).split("\0")[:-1]
        paths = [
            path for entry, _, path in (record.partition("\t") for record in listed) if entry.startswith(_SUBMODULE)
        ]
        return [path for path in paths if os.path.lexists(self.path / path / ".git")]

    def _restore_git_dir(self, commit: str) -> None:
        """Put back what makes the directory a worktree, and end what was begun in it (a merge, a rebase, a lock)."""
        self._git_dir.mkdir(parents=True, exist_ok=True)
        for path in _listed(self._git_dir):
            if path.name not in _KEPT_IN_GIT_DIR:
                remove_tree(path)
        shutil.copy2(self._index, self._git_dir / "index")
        for path, text in (
            (self._git_dir / "HEAD", commit),
            (self._git_dir / "commondir", "../.."),
            (self._git_dir / "gitdir", str(self.path / ".git")),
            (self.path / ".git", f"gitdir: {self._git_dir}"),
        ):
            if path.is_symlink() or not path.is_file() or path.read_bytes() != os.fsencode(f"{text}\n"):
                fresh = self._record / "fresh"
                fresh.write_bytes(os.fsencode(f"{text}\n"))
                if path.is_dir() and not path.is_symlink():
                    remove_tree(path)
                fresh.replace(path)


def _check_added(answer: Answer, name: str) -> None:
    """Turn what `git add` said into an error that names the paths; it says some of it and still exits with 0."""
    if unreadable := _UNREADABLE.findall(answer.err):
        message = f"The workspace {name} holds what cannot be read: {', '.join(unreadable)}."
        raise InputError(message, "Make it readable, or remove it.")
    if nested := _NESTED.findall(answer.err):
        raise _nested(nested, name)
    if not_files := _NOT_A_FILE.findall(answer.err):
        message = f"The workspace {name} has no regular file where one was: {', '.join(not_files)}."
        raise InputError(message, "Put the file back, or remove what is there.")
    if answer.code:
        raise failure(("add",), answer)


def _check_not_nested(changed: bytes, name: str) -> None:
    fields = os.fsdecode(changed).split("\0")[:-1]
    nested = [path for entry, path in zip(fields[::2], fields[1::2], strict=True) if entry.split(" ")[1] == _SUBMODULE]
    if nested:
        raise _nested(nested, name)


def _nested(paths: list[str], name: str) -> InputError:
    message = (
        f"The workspace {name} holds a git repository of its own in {', '.join(paths)}, whose files would be lost."
    )
    return InputError(message, "Remove its .git directory, or have the repository ignore it.")


def _listed(directory: Path) -> list[Path]:
    return list(directory.iterdir()) if directory.is_dir() else []


def _remove(root: Path, mirror: Path | None, name: str) -> None:
    tree, record = root / "trees" / name, root / "records" / name
    if os.path.lexists(tree):
        trash = root / "trash" / uuid.uuid4().hex
        trash.parent.mkdir(parents=True, exist_ok=True)
        if tree.is_dir() and not tree.is_symlink():
            tree.chmod(stat.S_IRWXU)  # a directory that may not be written cannot be moved either
        tree.rename(trash)
        remove_tree(trash)
    if mirror is not None and (mirror / "worktrees" / name).exists():
        made = _branches_made(mirror / "worktrees" / name)
        with exclusively(mirror):
            remove_tree(mirror / "worktrees" / name)
        _forget_branches(mirror, made)
    remove_tree(record)  # last: it says where to go on, should we be stopped


def _branches_made(git_dir: Path) -> set[str]:
    """Name the branches that a worktree is on or, by its log, has been on."""
    named: set[str] = set()
    head, log = git_dir / "HEAD", git_dir / "logs" / "HEAD"
    if head.is_file():
        named.add(head.read_text(errors="surrogateescape").strip())
    if log.is_file():
        for line in log.read_text(errors="surrogateescape").splitlines():
            switched = _SWITCHED.search(line)
            named.update(f"ref: refs/heads/{branch}" for branch in (switched.groups() if switched else ()))
    return {name.removeprefix("ref: ") for name in named if name.startswith("ref: refs/heads/")}


def _forget_branches(mirror: Path, branches: set[str]) -> None:
    standing = {branch for branch in branches if (mirror / branch).is_file()}  # nothing ever packs them
    if not standing:
        return
    heads = [git_dir / "HEAD" for git_dir in _listed(mirror / "worktrees")]
    held = {head.read_text(errors="surrogateescape").strip().removeprefix("ref: ") for head in heads if head.is_file()}
    for branch in sorted(standing - held):
        Git(mirror).ask("update-ref", "-d", "--no-deref", branch)  # one that cannot be deleted harms nobody
