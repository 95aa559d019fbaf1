"""The port to confinement: how a command is started so that it reaches only what it may."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from workers.command import Command


class Level(StrEnum):
    """How much a confined command is kept from; each level includes the ones before it."""

    none = "none"
    """Nothing: the command can do whatever the worker's user can. Only its whole process tree is sure to die."""
    container = "container"
    """What works within an ordinary container: no network but the gateway, no writing outside the workspace."""
    full = "full"
    """Namespaces of its own, and a workspace that is imported only after it is dead."""


class Sandbox(Protocol):
    """Confines commands."""

    @property
    def level(self) -> Level:
        """How much this sandbox keeps a command from, to be recorded with each attempt."""

    def wrap(self, command: Command) -> Command:
        """Returns the command as it must be started so that it is confined."""
