"""Finds the checkout that a command was given in, and what it says of itself."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.errors import InputError, SetupError

if TYPE_CHECKING:
    from git import Repo


@dataclass(frozen=True)
class Checkout:
    """A person's checkout of a repository.

    Attributes:
        root: The root of its working tree.
        git_dir: Its git directory (of a linked worktree, its own).
        remote_url: Where its branch is pushed to, else `origin`, else its only remote; a path is made absolute.
        head_branch: The branch it is on, be it without a commit yet; None if HEAD is detached.
        empty: Whether HEAD has no commit yet.
        dirty: Whether a tracked file has changes that are not committed.
    """

    root: Path
    git_dir: Path
    remote_url: str | None
    head_branch: str | None
    empty: bool
    dirty: bool


def find_checkout(path: Path) -> Checkout:
    """Find the checkout that a path is in, or at the root of.

    Raises:
        InputError: The path does not exist, is in no repository, or is in a bare one.
        SetupError: There is no git.
    """
    try:
        from git import InvalidGitRepositoryError, NoSuchPathError, Repo  # noqa: PLC0415 - importing it starts a git
    except ImportError as error:
        raise SetupError("There is no git to start on PATH.", "Install git, or correct PATH.") from error
    try:
        repository = Repo(path, search_parent_directories=True)
    except NoSuchPathError as error:
        raise InputError(f"There is no directory {path}.", "Name the directory of a git checkout.") from error
    except InvalidGitRepositoryError as error:
        message = f"{path} is not in a git repository."
        raise InputError(message, "Run this in a git checkout, or make one with: git init") from error
    with repository:
        if repository.working_tree_dir is None:
            message = f"{path} is a bare repository, and a checkout is needed."
            raise InputError(message, "Clone it, and run this in the clone.")
        return _described(repository, Path(repository.working_tree_dir))


def _described(repository: Repo, root: Path) -> Checkout:
    git_dir = Path(repository.git_dir)
    # A hook of git's that started us left variables that name its repository, which need not be this one.
    repository.git.update_environment(
        GIT_DIR=str(git_dir), GIT_WORK_TREE=str(root), GIT_INDEX_FILE=str(git_dir / "index"), GIT_OPTIONAL_LOCKS="0"
    )
    detached = repository.head.is_detached
    return Checkout(
        root=root,
        git_dir=git_dir,
        remote_url=_remote_url(repository, root),
        head_branch=None if detached else repository.head.reference.name,
        empty=not repository.head.is_valid(),
        dirty=repository.head.is_valid() and repository.is_dirty(untracked_files=False, submodules=False),
    )


def _remote_url(repository: Repo, root: Path) -> str | None:
    remotes = {remote.name: remote for remote in repository.remotes}
    tracked = None
    if not repository.head.is_detached and repository.head.is_valid():
        branch = repository.active_branch.tracking_branch()
        tracked = branch.remote_name if branch is not None else None
    only = next(iter(remotes)) if len(remotes) == 1 else None
    chosen = next((name for name in (tracked, "origin", only) if name in remotes), None)
    if chosen is None:
        return None
    url = next(remotes[chosen].urls)
    local = root / url
    return str(local.resolve()) if "://" not in url and local.exists() else url
