"""No confinement, by explicit choice."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workers.sandbox import Level

if TYPE_CHECKING:
    from workers.command import Command


class Unconfined:
    """Starts commands as they are."""

    @property
    def level(self) -> Level:
        """`Level.none`, always."""
        return Level.none

    def wrap(self, command: Command) -> Command:
        """Returns the command unchanged."""
        return command
