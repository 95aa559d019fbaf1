"""The Celery tasks of the control queue: decode ids, call a service."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from orchestrator.bootstrap import open_floor
from orchestrator.config import settings
from orchestrator.courier import DISPATCH, MERGE, RECONCILE
from orchestrator.services import dispatch as dispatching
from orchestrator.services import merge as merging
from orchestrator.services import reconcile as reconciling
from workers.app import app

if TYPE_CHECKING:
    from orchestrator.services.floor import Floor


@lru_cache(maxsize=1)
def _floor() -> Floor:
    return open_floor(settings())


@app.task(name=DISPATCH)
def dispatch() -> int:
    """Hand queued work to hosts."""
    return dispatching.dispatch(_floor())


@app.task(name=RECONCILE)
def reconcile() -> None:
    """Mend what was lost."""
    reconciling.reconcile(_floor())


@app.task(name=MERGE)
def merge(repository_id: str) -> None:
    """Move the merge train of a repository."""
    merging.merge(_floor(), repository_id)
