"""What can be asked of the commits of a bare repository, and made of them, without a work tree.

No attribute of a tree is ever obeyed here: `*.py -diff` cannot hide lines from a diff, `export-ignore` cannot hide a
policy file, `merge=ours` cannot decide a merge. What is counted and shown is what is stored.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from enum import StrEnum
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from orchestrator.errors import GitError, InputError
from orchestrator.git import Git, Signature, failure

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

_EMPTY_TREE = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
# From git 2.43 on, a bare repository reads the attributes of its HEAD, unless told of another tree.
_NO_ATTRIBUTES = ("-c", f"attr.tree={_EMPTY_TREE}")
_LITERAL_DIFF = ("--no-ext-diff", "--no-textconv", "--no-color")
_SYMLINK = "120000"
_SUBMODULE = "160000"
_CONFLICT_BYTES = 32_768


class ChangeKind(StrEnum):
    """What became of a path."""

    ADDED = "A"
    DELETED = "D"
    MODIFIED = "M"
    RETYPED = "T"


@dataclass(frozen=True)
class FileChange:
    """What one path went through between two commits. A rename is a path deleted and a path added.

    Attributes:
        path: Relative, `/`-separated; bytes that are no UTF-8 are lone surrogates, as `os.fsdecode` makes them.
        added: Lines; 0 for a binary file.
        deleted: Lines; 0 for a binary file.
        binary: Whether git takes either side for binary, by content alone.
        kind: What became of it.
        mode: Its new mode as git writes it (`100644`, `100755`, `120000`, `160000`; `000000` once deleted).
    """

    path: str
    added: int
    deleted: int
    binary: bool
    kind: ChangeKind
    mode: str

    @property
    def is_symlink(self) -> bool:
        """Whether it is a symbolic link now."""
        return self.mode == _SYMLINK

    @property
    def is_submodule(self) -> bool:
        """Whether it is a pointer into another repository now."""
        return self.mode == _SUBMODULE


@dataclass(frozen=True)
class Merge:
    """A merge that came out clean: its commit, and the tree of that."""

    commit: str
    tree: str


@dataclass(frozen=True)
class Conflict:
    """A merge that did not: the paths at odds, and what git says of them, with the conflict marked in their lines."""

    paths: tuple[str, ...]
    text: str


class Commits:
    """The commits of one bare repository."""

    def __init__(self, git: Git) -> None:
        self._git = git

    @property
    def git(self) -> Git:
        """Git on this repository."""
        return self._git

    def has(self, commit: str) -> bool:
        """Say whether the commit is here."""
        return self.git.ask("cat-file", "-e", f"{commit}^{{commit}}").code == 0

    def tree(self, commit: str) -> str:
        """Return the SHA of a commit's tree."""
        return self.git.run("rev-parse", "--verify", "--end-of-options", f"{commit}^{{tree}}").decode().strip()

    def is_ancestor(self, older: str, newer: str) -> bool:
        """Say whether `newer` holds all that `older` does."""
        answer = self.git.ask("merge-base", "--is-ancestor", older, newer)
        if answer.code not in (0, 1):
            raise failure(("merge-base", older, newer), answer)
        return answer.code == 0

    def read(self, commit: str, path: str) -> bytes | None:
        """Return the content of a file as it is stored, or None where the commit has no such file."""
        return self.read_each(commit, (path,))[path]

    def read_each(self, commit: str, paths: Iterable[str]) -> dict[str, bytes | None]:
        """Return the contents of many files by path, in the order asked, at the price of one.

        Raises:
            GitError: The commit is not here.
        """
        wanted = tuple(paths)
        asked = [f"{commit}^{{commit}}", *(f"{commit}:{path}" for path in wanted)]
        stdin = b"".join(os.fsencode(name) + b"\0" for name in asked)
        rest = self.git.run("cat-file", "--batch", "-z", stdin=stdin)
        contents: list[bytes | None] = []
        for name in asked:
            missing = os.fsencode(name) + b" missing\n"
            if rest.startswith(missing):
                contents.append(None)
                rest = rest[len(missing) :]
                continue
            head, _, rest = rest.partition(b"\n")
            _, kind, size = head.split(b" ")
            contents.append(rest[: int(size)] if kind != b"tree" else None)
            rest = rest[int(size) + 1 :]
        if contents[0] is None:
            raise GitError(f"The commit {commit} is not in this mirror.", "Fetch it first.")
        return dict(zip(wanted, contents[1:], strict=True))

    def files(self, commit: str, prefix: str = "") -> list[str]:
        """List the paths of all files (links too, submodules not) at or under a path of a commit's tree, sorted."""
        return [path for _, path in self._entries(commit, (prefix,) if prefix else ())]

    def export(self, commit: str, paths: Iterable[str], destination: Path) -> None:
        """Write the files at or under some paths of a commit's tree below a directory, byte for byte.

        A path that the commit does not have is passed over. What the destination has already is replaced file by file.

        Raises:
            InputError: A link among them points out of the destination, or stands where a directory must be.
        """
        entries = self._entries(commit, tuple(paths))
        contents = self.read_each(commit, [path for _, path in entries])
        for mode, path in entries:
            _write(destination, path, mode, contents[path] or b"")

    def changes(self, base: str, head: str) -> tuple[FileChange, ...]:
        """Compare two commits, path by path, sorted by path."""
        command = ("diff-tree", "-r", "-z", "--raw", "--numstat", "--no-renames", *_LITERAL_DIFF, base, head)
        fields = self.git.run(*_NO_ATTRIBUTES, *command).split(b"\0")[:-1]
        modes: dict[str, tuple[str, str]] = {}
        changes = []
        pending = iter(fields)
        for field in pending:
            if field.startswith(b":"):
                _, mode, _, _, kind = field.decode().split(" ")
                modes[os.fsdecode(next(pending))] = (mode, kind)
                continue
            added, deleted, name = field.split(b"\t", 2)
            path = os.fsdecode(name)
            mode, kind = modes[path]
            binary = added == b"-"
            lines = (0, 0) if binary else (int(added), int(deleted))
            changes.append(FileChange(path, *lines, binary, ChangeKind(kind), mode))
        return tuple(changes)

    def patch(self, base: str, head: str, limit_bytes: int) -> bytes:
        """Return the difference between two commits as text, every file of it shown, be it binary.

        A longer one is cut behind the last whole line that fits, and a last line says so.
        """
        command = ("diff-tree", "-r", "-p", "--text", "--find-renames", *_LITERAL_DIFF, base, head)
        text, complete = self.git.beginning(limit_bytes, *_NO_ATTRIBUTES, *command)
        return text if complete else text[: text.rfind(b"\n") + 1] + b"[cut here: the patch is longer]\n"

    def merge(self, tip: str, head: str, message: str, signature: Signature) -> Merge | Conflict:
        """Merge `head` into `tip` as a commit with both as parents, `tip` first; no ref moves.

        The same arguments give the same commit, on every host.

        Raises:
            GitError: A commit is not here, or the two have no history in common.
        """
        command = ("merge-tree", "--write-tree", "-z", "--name-only", "--messages", tip, head)
        answer = self.git.ask(*_NO_ATTRIBUTES, *command)
        # Exit 1 is a conflict, or a commit that git does not know: then it wrote nothing (seen with git 2.39.5).
        if answer.code not in (0, 1) or not answer.out:
            raise failure(command, answer)
        tree, *fields = [os.fsdecode(field) for field in answer.out.split(b"\0")]
        if answer.code == 0:
            return Merge(self.commit(tree, (tip, head), message, signature), tree)
        paths = tuple(fields[: fields.index("")])
        return Conflict(paths, self._told(tip, tree, paths, fields[len(paths) + 1 :]))

    def commit(self, tree: str, parents: tuple[str, ...], message: str, signature: Signature) -> str:
        """Make a commit of a tree and return its SHA; no ref moves."""
        args = [part for parent in parents for part in ("-p", parent)]
        text = message.encode("utf-8", "replace")
        made = self.git.run("commit-tree", tree, *args, "-F", "-", stdin=text, variables=signature.variables())
        return made.decode().strip()

    def _told(self, tip: str, tree: str, paths: tuple[str, ...], fields: list[str]) -> str:
        """Say what is at odds: git's own messages, and how the merged files differ from the tip's."""
        messages = []
        pending = iter(fields)
        for count in pending:
            if not count.isdigit():
                break
            for _ in range(int(count)):
                next(pending)
            if next(pending) != "Auto-merging":
                messages.append(next(pending).strip())
            else:
                next(pending)
        diff = ("diff-tree", "-r", "-p", "--no-renames", *_LITERAL_DIFF, tip, tree, "--", *paths)
        marked, complete = self.git.beginning(_CONFLICT_BYTES, *_NO_ATTRIBUTES, "--literal-pathspecs", *diff)
        shown = marked.decode("utf-8", "replace")
        return "\n".join((*messages, "", shown if complete else f"{shown}\n[cut here: the conflict is longer]"))

    def _entries(self, commit: str, paths: tuple[str, ...]) -> list[tuple[str, str]]:
        listed = self.git.run("ls-tree", "-r", "-z", "--full-tree", commit, "--", *paths)
        entries = []
        for record in listed.split(b"\0")[:-1]:
            described, _, path = record.partition(b"\t")
            mode = described.split(b" ", 1)[0].decode()
            if mode != _SUBMODULE:
                entries.append((mode, os.fsdecode(path)))
        return entries


def _write(destination: Path, path: str, mode: str, content: bytes) -> None:
    target = destination / path
    target.parent.mkdir(parents=True, exist_ok=True)
    if not target.parent.resolve().is_relative_to(destination.resolve()):
        raise InputError(
            f"{path} would be written outside of {destination}.", "Take the link above it out of the tree."
        )
    target.unlink(missing_ok=True)
    if mode != _SYMLINK:
        target.write_bytes(content)
        target.chmod(stat.S_IMODE(int(mode, 8)))
        return
    link = os.fsdecode(content)
    if PurePosixPath(link).is_absolute() or not (target.parent / link).resolve().is_relative_to(destination.resolve()):
        raise InputError(f"{path} is a link that points outside, to {link}.", "Put a file in its place.")
    target.symlink_to(link)
