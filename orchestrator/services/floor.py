"""What every service works with, and the one way to change a task."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from orchestrator.domain.task import Event, Task
from orchestrator.errors import StaleError
from orchestrator.store import Commit

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from orchestrator.courier import Courier
    from orchestrator.domain.repository import Repository
    from orchestrator.domain.task import Cause, Note
    from orchestrator.forge import Forge
    from orchestrator.mirror import Mirror
    from orchestrator.store import Store, Wake

_TRIES = 20
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Move:
    """A decided change of a task: its next version, what it is called, and what it causes."""

    after: Task
    what: Cause | Note
    wakes: tuple[Wake, ...] = ()
    who: str | None = None
    step: str | None = None
    exit_code: int | None = None
    text: str | None = None
    expired_only: bool = False


@dataclass(frozen=True, slots=True)
class Floor:
    """The ports that the services share.

    Args:
        store: The truth.
        courier: Carries wake-up calls.
        clock: The time, UTC.
        mirror: This machine's copy of a repository.
        forge: Where a repository's changes live.
        lease_seconds: How long a lease lasts that nobody renews.
    """

    store: Store
    courier: Courier
    clock: Callable[[], datetime]
    mirror: Callable[[Repository], Mirror]
    forge: Callable[[Repository], Forge]
    lease_seconds: float = 20.0

    def event(self, before: Task | None, move: Move) -> Event:
        """The event that tells of a move."""
        after = move.after
        moved = before is None or before.state != after.state
        return Event(
            at=self.clock(),
            task=after.id,
            type=move.what,
            source=before.state if before and moved else None,
            target=after.state if moved else None,
            fence=after.fence,
            host=after.host or (before.host if before else None),
            repository=after.repository,
            who=move.who,
            step=move.step,
            round=after.round or None,
            exit_code=move.exit_code,
            reason=after.reason if moved else None,
            text=move.text,
        )

    def happened(
        self, task: Task, note: Note, *, fence: int, host: str | None = None, text: str | None = None
    ) -> Event:
        """The event of something that happened to a task on the merge train, and moved it nowhere."""
        return Event(
            at=self.clock(), task=task.id, type=note, fence=fence, host=host, repository=task.repository, text=text
        )

    def write(self, before: Task, move: Move) -> Task:
        """Commit a move that was decided on exactly this version, and send what it causes.

        Raises:
            StaleError: somebody else moved first.
        """
        self.store.commit(Commit(before, move.after, self.event(before, move), move.wakes, move.expired_only))
        self.send(move.wakes)
        return move.after

    def change(self, task_id: str, decide: Callable[[Task], Move | None]) -> Task | None:
        """Read a task, decide, commit; again from the start where somebody else moved first.

        Returns:
            The task as committed; None where `decide` chose to change nothing.
        """

        def attempt(task: Task) -> Task | None:
            move = decide(task)
            return self.write(task, move) if move else None

        return self._settle(task_id, attempt)

    def decide(self, task_id: str, decide: Callable[[Task], Move]) -> Task:
        """The same for a decision that always changes something."""
        return self._settle(task_id, lambda task: self.write(task, decide(task)))

    def _settle(self, task_id: str, attempt: Callable[[Task], _T]) -> _T:
        for _ in range(_TRIES):
            try:
                return attempt(self.store.task(task_id))
            except StaleError:
                continue
        raise StaleError(
            f"Task {task_id} changed {_TRIES} times while it was to be written.", "Repeat the command in a moment."
        )

    def send(self, wakes: Sequence[Wake]) -> None:
        """Hand wakes to the broker; what it does not take stays in the outbox for the reconciler."""
        self.store.confirm([wake for wake in wakes if not wake.delay and self.courier.send(wake)])
