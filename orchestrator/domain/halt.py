"""Halts: the kill switch as a condition, whole or narrowed."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from orchestrator.domain.frozen import Frozen

if TYPE_CHECKING:
    from collections.abc import Iterable


class Subject(Protocol):
    """What a halt may stop: a task, or a host's own note of one."""

    @property
    def id(self) -> str:
        """The task's id."""

    @property
    def repository(self) -> str:
        """The id of its repository."""

    @property
    def blueprint(self) -> str:
        """The name of its blueprint."""


class Reach(StrEnum):
    """What a halt stops."""

    FLEET = "fleet"
    REPOSITORY = "repository"
    BLUEPRINT = "blueprint"
    HOST = "host"
    TASK = "task"


class Halt(Frozen):
    """A halt in force. `epoch` grows by one with each halt of the fleet."""

    epoch: int
    reach: Reach
    name: str = ""  # which repository, blueprint, host or task; empty for the fleet
    why: str
    who: str
    at: datetime

    @property
    def key(self) -> str:
        """One halt for each reach and name: `fleet`, `blueprint:docs`."""
        return f"{self.reach}:{self.name}" if self.name else str(self.reach)

    def stops(self, task: Subject, host: str | None) -> bool:
        """Tell whether this halt stops a task, on a host if it has one or would get one."""
        match self.reach:
            case Reach.FLEET:
                return True
            case Reach.REPOSITORY:
                return self.name == task.repository
            case Reach.BLUEPRINT:
                return self.name == task.blueprint
            case Reach.HOST:
                return self.name == host
            case Reach.TASK:
                return self.name == task.id

    def sentence(self) -> str:
        """What a person is told."""
        what = "the fleet" if self.reach is Reach.FLEET else f"{self.reach} {self.name}"
        return f"{what} was halted by {self.who} at {self.at:%Y-%m-%d %H:%M:%S} UTC: {self.why}"


def halt_of(halts: Iterable[Halt], task: Subject, host: str | None) -> Halt | None:
    """The first halt that stops this task on this host."""
    return next((halt for halt in halts if halt.stops(task, host)), None)
