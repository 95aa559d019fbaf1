"""A repository that the fleet works on."""

from __future__ import annotations

from orchestrator.domain.frozen import Frozen


class Repository(Frozen):
    """Where changes come from and land.

    Args:
        id: Stable name, safe as a directory and in keys.
        name: What people call it.
        url: A remote's URL, or the path of a repository on this machine.
        target: The branch that changes land on.
    """

    id: str
    name: str
    url: str
    target: str
