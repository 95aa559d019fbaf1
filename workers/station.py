"""What every step on a host works with: opened once in each process of its pool."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from orchestrator.bootstrap import open_floor
from workers.host import HostState
from workers.sandboxes.none import Unconfined
from workers.workspaces.worktree import WorktreeWorkspaces

if TYPE_CHECKING:
    from orchestrator.config import Settings
    from orchestrator.services.floor import Floor
    from workers.sandbox import Sandbox
    from workers.workspace import Workspaces


@dataclass(frozen=True, slots=True)
class Station:
    """A place to work at.

    Args:
        floor: The orchestrator's ports.
        settings: This host's.
        state: This host's notes.
        workspaces: Where workspaces come from.
        sandbox: Confines what is run.
    """

    floor: Floor
    settings: Settings
    state: HostState
    workspaces: Workspaces
    sandbox: Sandbox

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """The station of the host that the settings name."""
        state = HostState.of(settings)
        return cls(open_floor(settings), settings, state, WorktreeWorkspaces(state.workspaces), Unconfined())
