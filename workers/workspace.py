"""The port to workspaces: the directories that attempts work in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from pathlib import Path

    from orchestrator.git import Signature
    from orchestrator.mirror import Mirror


class Workspace(Protocol):
    """A directory with the files of a commit, for one attempt alone.

    Whatever is done inside it, with git or without, changes nothing about what its verbs do: they hold on to the
    commits that they are given, and keep their own account of the files outside of it.
    """

    @property
    def path(self) -> Path:
        """Where an agent or a command works."""
        ...

    def reset(self, commit: str) -> None:
        """Make the files those of a commit exactly; ignored files (caches, installed packages) are left.

        Raises:
            GitError: The commit is not in the mirror, or a file cannot be written.
        """
        ...

    def snapshot(self, parent: str, message: str, signature: Signature) -> str:
        """Commit all files that are not ignored, as one commit on top of `parent`; no ref moves.

        Returns:
            The commit; `parent` itself if the files are those of `parent`.

        Raises:
            InputError: There is something that cannot be committed: a repository inside the workspace, a directory or
                file that cannot be read, a tracked path that became a pipe; names the paths.
            GitError: Git failed otherwise.
        """
        ...

    def remove(self) -> None:
        """Take it away, with all that git knows of it. Asking again changes nothing."""
        ...


class Workspaces(Protocol):
    """Where workspaces come from."""

    def prepare(self, mirror: Mirror, name: str, commit: str) -> Workspace:
        """Make a workspace with the files of a commit. One that stands under this name is reset to the commit.

        Args:
            mirror: Holds the commit.
            name: Says whose it is, `<task>-<fence>`: unique on this host, of letters, digits, `.`, `_` and `-`.
            commit: A SHA.

        Raises:
            InputError: The name cannot be used.
            GitError: The commit is not in the mirror, or the disk is full.
        """
        ...

    def find(self, mirror: Mirror, name: str) -> Workspace | None:
        """Return the workspace that stands under a name, as another process left it; None if there is none."""
        ...

    def sweep(self, keep: set[str]) -> tuple[str, ...]:
        """Take away every workspace, whole or half, whose name is not to be kept; return their names, sorted."""
        ...
