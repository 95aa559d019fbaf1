"""The desk on the fleet's own store: for the command line beside a Redis, and behind the API."""

from __future__ import annotations

import codecs
from datetime import UTC, timedelta
from typing import TYPE_CHECKING

from blueprints.errors import ChoiceError
from orchestrator.desk import BlueprintView, HostView, Lock, LogLine, TrainView
from orchestrator.domain.halt import Reach
from orchestrator.domain.task import State
from orchestrator.domain.train import merge_order
from orchestrator.errors import NotFoundError
from orchestrator.services import decide
from orchestrator.services.explain import explain
from orchestrator.services.figures import figures
from orchestrator.services.halt import halt, resume
from orchestrator.services.policy import rules_now
from orchestrator.services.submit import submit

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from blueprints.catalog import Entry
    from blueprints.model import Blueprint
    from orchestrator.domain.halt import Halt
    from orchestrator.domain.repository import Repository
    from orchestrator.domain.task import Event, Task
    from orchestrator.services.explain import Explanation
    from orchestrator.services.figures import Figures
    from orchestrator.services.floor import Floor
    from orchestrator.services.submit import Submission
    from orchestrator.store import LogChunk


class DirectDesk:
    """`Desk` over the services: see `orchestrator.desk` for the contract.

    Args:
        floor: The fleet.
        who: Who asks, for the events.
    """

    def __init__(self, floor: Floor, who: str) -> None:
        self._floor = floor
        self._store = floor.store
        self._who = who

    def repositories(self) -> list[Repository]:
        """See `Desk.repositories`."""
        return self._store.repositories()

    def submit(self, repository_id: str, submissions: Sequence[Submission]) -> list[Task]:
        """See `Desk.submit`."""
        return submit(self._floor, self._store.repository(repository_id), submissions, who=self._who)

    def tasks(self, states: Sequence[State] = ()) -> list[Task]:
        """See `Desk.tasks`."""
        return self._store.tasks(states)

    def task(self, task_id: str) -> Task:
        """See `Desk.task`."""
        return self._store.task(task_id)

    def log(self, task_id: str, after: str = "", wait: float = 0.0) -> list[LogLine]:
        """See `Desk.log`."""
        self._store.task(task_id)  # a task that is not there is an error, not an empty log
        return list(_lines(self._store.log(task_id, after, wait)))

    def events(self, after: int = 0, limit: int = 1000, wait: float = 0.0) -> list[Event]:
        """See `Desk.events`."""
        return self._store.events(after, limit, wait)

    def last_seq(self) -> int:
        """See `Desk.last_seq`."""
        return self._store.last_seq()

    def explain(self, task_id: str) -> Explanation:
        """See `Desk.explain`."""
        return explain(self._floor, task_id)

    def approve(self, task_id: str) -> Task:
        """See `Desk.approve`."""
        return decide.approve(self._floor, task_id, who=self._who)

    def reject(self, task_id: str, why: str) -> Task:
        """See `Desk.reject`."""
        return decide.reject(self._floor, task_id, why, who=self._who)

    def retry(self, task_id: str) -> Task:
        """See `Desk.retry`."""
        return decide.retry(self._floor, task_id, who=self._who)

    def cancel(self, task_id: str) -> Task:
        """See `Desk.cancel`."""
        return decide.cancel(self._floor, task_id, who=self._who)

    def halt(self, reach: Reach, name: str, why: str) -> Halt:
        """See `Desk.halt`."""
        return halt(self._floor, reach, name, why=why, who=self._who)

    def resume(self, keys: Sequence[str] = ()) -> list[Halt]:
        """See `Desk.resume`."""
        return resume(self._floor, keys, who=self._who)

    def halts(self) -> list[Halt]:
        """See `Desk.halts`."""
        return self._store.halts()

    def locks(self) -> list[Lock]:
        """See `Desk.locks`."""
        tasks = {task.id: task for task in self._store.tasks()}
        return [
            Lock(
                task=task.id,
                repository=held.repository,
                scope=held.scope.patterns,
                title=task.title,
                state=task.state,
                since=_iso(task.started_at),
            )
            for held in self._store.holdings()
            if (task := tasks.get(held.task))
        ]

    def hosts(self) -> list[HostView]:
        """See `Desk.hosts`."""
        busy = self._store.busy()
        running = self._store.tasks([State.RUNNING])
        halted = {each.name for each in self._store.halts() if each.reach is Reach.HOST}
        everything = any(each.reach is Reach.FLEET for each in self._store.halts())
        return [
            HostView(
                name=host.name,
                slots=host.slots,
                busy=busy.get(host.name, 0),
                capabilities=host.capabilities,
                sandbox=host.sandbox,
                version=host.version,
                tasks=tuple(task.id for task in running if task.host == host.name),
                halted=everything or host.name in halted,
                seen_at=_iso(host.seen_at) or "",
            )
            for host in self._store.hosts()
        ]

    def trains(self) -> list[TrainView]:
        """See `Desk.trains`."""
        merging = merge_order(self._store.tasks([State.MERGING]))
        return [self._train(repository, merging) for repository in self._store.repositories()]

    def figures(self, window_hours: float = 24.0) -> Figures:
        """See `Desk.figures`."""
        return figures(self._floor, timedelta(hours=window_hours))

    def blueprints(self, repository_id: str) -> list[BlueprintView]:
        """See `Desk.blueprints`."""
        rules = rules_now(self._floor, self._store.repository(repository_id))
        return [_summary(entry) for entry in rules.catalog.entries.values()]

    def blueprint(self, repository_id: str, name: str) -> Blueprint:
        """See `Desk.blueprint`."""
        rules = rules_now(self._floor, self._store.repository(repository_id))
        try:
            return rules.catalog.get(name)
        except ChoiceError as error:
            raise NotFoundError(error.message, error.remedy) from error

    def _train(self, repository: Repository, merging: Iterable[Task]) -> TrainView:
        train = self._store.train(repository)
        first = train.candidate.task if train.candidate else None
        ours = (task.id for task in merging if task.repository == repository.id)
        return TrainView(
            repository=repository.id,
            target=repository.target,
            train=train,
            waiting=tuple(each for each in ours if each != first),
        )


def _lines(chunks: Iterable[LogChunk]) -> Iterable[LogLine]:
    """Read chunks as text: a character that two chunks of a step share is put together in the later one."""
    pending = b""
    last: tuple[int, int, str] | None = None
    for chunk in chunks:
        source = (chunk.attempt, chunk.round, chunk.step)
        raw = (pending if source == last else b"") + chunk.text
        text, read = codecs.utf_8_decode(raw, "replace", False)
        pending, last = raw[read:], source
        yield LogLine(position=chunk.position, attempt=chunk.attempt, round=chunk.round, step=chunk.step, text=text)


def _summary(entry: Entry) -> BlueprintView:
    blueprint = entry.blueprint
    return BlueprintView(
        name=blueprint.name,
        description=blueprint.description,
        source="built in" if entry.built_in else entry.file,
        labels=blueprint.match.labels,
        title=blueprint.match.title,
        steps=tuple(step.name for step in blueprint.steps),
        rounds=blueprint.rounds,
        tier=blueprint.review.tier,
    )


def _iso(at: datetime | None) -> str | None:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z") if at else None
