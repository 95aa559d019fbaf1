"""The Celery tasks of a host: decode ids, call the runner, pass on what is ahead."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from orchestrator import logs
from orchestrator.config import settings
from orchestrator.courier import CLEAR, PREPARE, VERIFY
from orchestrator.domain.rounds import Onward
from workers import verification
from workers.app import app
from workers.chain import AGENT, GATE, PUBLISH_TASK, RUN, chain_of
from workers.leftovers import clear_aside
from workers.runner import Ahead, Runner
from workers.station import Station

if TYPE_CHECKING:
    from celery import Task as CeleryTask


@lru_cache(maxsize=1)
def _station() -> Station:
    return Station.of(settings())


@app.task(name=PREPARE, bind=True)
def prepare(self: CeleryTask[..., None], task_id: str, fence: int) -> None:
    """Make the workspace; the rest of the chain follows from where the task stands."""
    with logs.bound(task=task_id, fence=fence, step="prepare", host=settings().host):
        _go_on(self, task_id, fence, Runner(_station()).prepare(task_id, fence))


def _step(self: CeleryTask[..., None], task_id: str, fence: int, round_number: int, step: str) -> None:
    with logs.bound(task=task_id, fence=fence, step=step, host=settings().host):
        ahead = Runner(_station()).carry_out(task_id, fence, round_number, step)
        if ahead.onward is not Onward.NEXT:
            _go_on(self, task_id, fence, ahead)


agent = app.task(name=AGENT, bind=True)(_step)
gate = app.task(name=GATE, bind=True)(_step)
run = app.task(name=RUN, bind=True)(_step)


@app.task(name=PUBLISH_TASK)
def publish(task_id: str, fence: int) -> None:
    """Check the diff, push the branch, open the change."""
    with logs.bound(task=task_id, fence=fence, step="publish", host=settings().host):
        Runner(_station()).publish(task_id, fence)


@app.task(name=VERIFY)
def verify(repository_id: str, fence: int) -> None:
    """Verify a candidate of a merge train."""
    with logs.bound(fence=fence, step="verify", host=settings().host):
        verification.verify(_station(), repository_id, fence)


@app.task(name=CLEAR)
def clear() -> None:
    """Clear away what attempts that died have left on this host."""
    here = _station()
    clear_aside(here.floor, here.state, here.workspaces)


def _go_on(self: CeleryTask[..., None], task_id: str, fence: int, ahead: Ahead) -> None:
    """Put what is ahead in the place of the rest of the chain; drop the rest where nothing is."""
    self.request.chain = None
    if ahead.onward is not Onward.STOP:
        self.replace(chain_of(task_id, fence, ahead, settings().host))  # raises Ignore: this message is answered for
