"""A floor in memory over a real git repository, and its API on a port of loopback."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from orchestrator.bootstrap import utc_now
from orchestrator.domain.repository import Repository
from orchestrator.domain.task import Cause, Change, State, Task
from orchestrator.forges.local import LocalForge
from orchestrator.mirror import Mirror
from orchestrator.services.dispatch import dispatch
from orchestrator.services.floor import Floor
from orchestrator.stores.memory import MemoryStore
from orchestrator.web.serve import Server, listen
from tests.helpers.couriers import MemoryCourier
from tests.helpers.repositories import make_bare
from tests.helpers.tasks import advance, make_host
from tests.helpers.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from fastapi import FastAPI

POLICY = """\
version: 1
target: main
verify: "true"
agents:
  default: {kind: command, command: ["true"]}
defaults: {blueprint: codemod, scope: ["src"]}
"""
BLUEPRINT = """\
name: rename
description: one rename
match: {labels: [rename]}
steps:
  - {name: edit, agent: {prompt: "{{ task.title }}"}}
review: {tier: human}
"""
FILES = {".shopfloor/repo.yaml": POLICY, ".shopfloor/blueprints/rename.yaml": BLUEPRINT, "src/a.py": "a = 1\n"}


def make_floor(path: Path) -> Floor:
    """A fleet in memory with one repository, `web-1`, and one host, `h1`, with two slots."""
    store = MemoryStore()
    origin = make_bare(path / "web.git", FILES)
    store.add_repository(Repository(id="web-1", name="web", url=str(origin), target="main"))
    store.beat(make_host("h1", slots=2, started_at=utc_now(), seen_at=utc_now()), [], 60)
    return Floor(
        store=store,
        courier=MemoryCourier(),
        clock=utc_now,
        mirror=lambda repository: Mirror(path / "mirrors" / f"{repository.id}.git", repository.url),
        forge=lambda _repository: LocalForge(),
    )


def run(floor: Floor, task_id: str) -> Task:
    """Place a queued task on the host."""
    dispatch(floor)
    task = floor.store.task(task_id)
    assert task.state is State.RUNNING, task.reason
    return task


def publish(floor: Floor, task_id: str) -> Task:
    """Run a task up to its review by a person."""
    change = Change(id=task_id, url=f"file:///srv/web.git#{task_id}", state="open", tier="human")
    return advance(floor.store, run(floor, task_id), Cause.PUBLISHED, State.REVIEW, change=change)


@contextmanager
def serving(app: FastAPI) -> Iterator[str]:
    """Serve an application on a port of loopback, in a thread, and give its URL."""
    server = Server(app)
    with listen("127.0.0.1", 0) as listener:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            eventually(lambda: server.started or not thread.is_alive(), "an API that serves")
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()
