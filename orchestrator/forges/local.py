"""A forge that is no more than a git repository: a bare one, a remote one, or a person's own checkout."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.errors import GitError, InputError
from orchestrator.forge import Blocked, Change, Landed, Moved
from orchestrator.forges.working_trees import working_trees
from orchestrator.git import Git, redacted

if TYPE_CHECKING:
    from orchestrator.forge import Proposal
    from orchestrator.forges.working_trees import WorkingTree
    from orchestrator.mirror import Mirror

_BRING = (
    "fetch",
    "--quiet",
    "--no-tags",
    "--no-write-fetch-head",
    "--no-auto-maintenance",
    "--no-recurse-submodules",
    "--no-prune",
)
_TRIES = 2


class LocalForge:
    """Changes are branches; a change is landed by moving the target, by compare-and-swap.

    A person reads a change with `git diff target...branch`, and says yes or no to Shopfloor itself.
    """

    def open_change(self, mirror: Mirror, proposal: Proposal) -> Change | Moved | Blocked:
        """Push the branch. The change's id is the task's, its URL the repository's with the branch behind a `#`."""
        ref = f"refs/heads/{proposal.branch}"
        try:
            pushed = mirror.push(ref, proposal.head, proposal.expected)
        except GitError:
            holders = _holders(mirror, proposal.branch)
            if not holders:
                raise
            return Blocked(
                f"The branch {proposal.branch} is checked out in {holders[0].path}. Switch to another branch there."
            )
        if not pushed:
            return Moved(mirror.seen(ref))
        return Change(id=proposal.task, url=f"{redacted(mirror.url)}#{proposal.branch}", branch=proposal.branch)

    def close_change(self, mirror: Mirror, change: Change, head: str) -> None:
        """Delete the branch, unless somebody has committed to it, or looks at it in a working tree."""
        if not _holders(mirror, change.branch):
            mirror.delete(f"refs/heads/{change.branch}", head)

    def land(self, mirror: Mirror, branch: str, candidate: str, expected: str) -> Landed | Moved | Blocked:
        """Move the target to the candidate; where the target is checked out, its files follow, or nothing moves.

        Raises:
            InputError: The candidate does not descend from the expected commit: landing it would drop commits.
            GitError: The repository cannot be reached, or refused for a reason of its own.
        """
        if not mirror.is_ancestor(expected, candidate):
            raise InputError(
                f"{candidate} does not descend from {expected}.", "Build the candidate on the target's tip."
            )
        ref = f"refs/heads/{branch}"
        for attempt in range(1, _TRIES + 1):
            holders = _holders(mirror, branch)
            if holders:
                now = mirror.seen(ref)
                if now != expected:
                    return Landed(candidate) if now == candidate else Moved(now)
                return _land_in(holders, mirror, candidate, expected)
            try:
                pushed = mirror.push(ref, candidate, expected)
            except GitError:
                # Somebody may have checked the branch out since we looked; then there is another way.
                if attempt == _TRIES or not _holders(mirror, branch):
                    raise
                continue
            return Landed(candidate) if pushed else Moved(mirror.seen(ref))
        raise AssertionError  # the last try returns or raises


def _holders(mirror: Mirror, branch: str) -> list[WorkingTree]:
    """Find the working trees that a repository on this machine has the branch checked out in."""
    if mirror.local is None:
        return []
    return [tree for tree in working_trees(mirror.local) if tree.branch == branch]


def _land_in(holders: list[WorkingTree], mirror: Mirror, candidate: str, expected: str) -> Landed | Moved | Blocked:
    if len(holders) > 1:
        places = " and ".join(str(tree.path) for tree in holders)
        return Blocked(
            f"{holders[0].branch} is checked out in {places} at once. Switch to another branch in all but one."
        )
    Git(holders[0].git_dir, as_user=True).run(*_BRING, str(mirror.path), candidate)
    return holders[0].advance(candidate, expected)
