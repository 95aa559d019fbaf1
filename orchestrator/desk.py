"""The port to the whole product, for a person or a system: what the command line and the API offer.

Two adapters: `desks/direct.py` on the fleet's store, `desks/remote.py` over the API. What they return are the same
values, so that the JSON of the command line and of the API is one contract (SPEC.md, section JSON).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from orchestrator.domain.frozen import Frozen
from orchestrator.domain.train import Train

if TYPE_CHECKING:
    from collections.abc import Sequence

    from blueprints.model import Blueprint
    from orchestrator.domain.halt import Halt, Reach
    from orchestrator.domain.repository import Repository
    from orchestrator.domain.task import Event, State, Task
    from orchestrator.services.explain import Explanation
    from orchestrator.services.figures import Figures
    from orchestrator.services.submit import Submission


class LogLine(Frozen):
    """A piece of a task's log; `text` need not end at a line's end. `position` is where to go on."""

    position: str
    attempt: int
    round: int
    step: str
    text: str


class Lock(Frozen):
    """A scope that a task holds."""

    task: str
    repository: str
    scope: tuple[str, ...]
    title: str
    state: str
    since: str | None


class HostView(Frozen):
    """A host with the tasks that occupy its slots."""

    name: str
    slots: int
    busy: int
    capabilities: tuple[str, ...]
    sandbox: str
    version: str
    tasks: tuple[str, ...]
    halted: bool
    seen_at: str


class TrainView(Frozen):
    """The merge train of a target branch: what is being verified, what is behind it, in order."""

    repository: str
    target: str
    train: Train
    waiting: tuple[str, ...]


class BlueprintView(Frozen):
    """A blueprint of the catalog, and where it comes from (`built in`, or a path of the repository)."""

    name: str
    description: str
    source: str
    labels: tuple[str, ...]
    title: str | None
    steps: tuple[str, ...]
    rounds: int
    tier: str


class Desk(Protocol):
    """Everything that can be asked of a fleet. Every method may raise a ShopfloorError with its sentences."""

    def repositories(self) -> list[Repository]:
        """The fleet's repositories."""

    def submit(self, repository_id: str, submissions: Sequence[Submission]) -> list[Task]:
        """Take in tasks, all or none."""

    def tasks(self, states: Sequence[State] = ()) -> list[Task]:
        """Tasks in these states, or all, oldest first; `body` and `steps` may be left out (`task` has them)."""

    def task(self, task_id: str) -> Task:
        """One task."""

    def log(self, task_id: str, after: str = "", wait: float = 0.0) -> list[LogLine]:
        """A task's log behind a position; waits up to `wait` seconds for more."""

    def events(self, after: int = 0, limit: int = 1000, wait: float = 0.0) -> list[Event]:
        """Events behind a number, oldest first; waits up to `wait` seconds for one."""

    def last_seq(self) -> int:
        """The number of the newest event."""

    def explain(self, task_id: str) -> Explanation:
        """Why a task is where it is."""

    def approve(self, task_id: str) -> Task:
        """Accept a change."""

    def reject(self, task_id: str, why: str) -> Task:
        """Send a change back."""

    def retry(self, task_id: str) -> Task:
        """Give an escalated task another try."""

    def cancel(self, task_id: str) -> Task:
        """Give a task up."""

    def halt(self, reach: Reach, name: str, why: str) -> Halt:
        """Stop everything within reach."""

    def resume(self, keys: Sequence[str] = ()) -> list[Halt]:
        """Lift halts, all where none is named."""

    def halts(self) -> list[Halt]:
        """The halts in force."""

    def locks(self) -> list[Lock]:
        """Every scope that is held."""

    def hosts(self) -> list[HostView]:
        """Every host."""

    def trains(self) -> list[TrainView]:
        """Every merge train."""

    def figures(self, window_hours: float = 24.0) -> Figures:
        """The fleet's figures."""

    def blueprints(self, repository_id: str) -> list[BlueprintView]:
        """The catalog of a repository, as its target branch has it."""

    def blueprint(self, repository_id: str, name: str) -> Blueprint:
        """One blueprint of that catalog."""
