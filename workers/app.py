"""The Celery application, and what a worker does when it starts and stops."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from celery import Celery, signals

from orchestrator import logs
from orchestrator.bootstrap import open_floor
from orchestrator.config import settings
from orchestrator.courier import host_queue
from workers.heartbeat import Heartbeat
from workers.host import HostState
from workers.leftovers import clear_leftovers
from workers.stopping import stop_attempts_before

if TYPE_CHECKING:
    from pathlib import Path

app = Celery("shopfloor")
app.config_from_object("workers.celeryconfig")

_beating: list[Heartbeat] = []


@signals.setup_logging.connect
def _set_up_logging(**_: Any) -> None:  # noqa: ANN401 - Celery's signals
    logs.configure(settings())


@signals.celeryd_init.connect
@signals.worker_process_init.connect
@signals.beat_init.connect
def _report_errors(**_: Any) -> None:  # noqa: ANN401 - Celery's signals
    logs.report_errors(settings())


@signals.worker_init.connect
def _clear_leftovers(**_: Any) -> None:  # noqa: ANN401 - Celery's signals
    """Before the first step runs: give back what a crashed worker left on this host."""
    chosen = settings()
    if host_queue(chosen.host) in app.amqp.queues.consume_from:
        state = HostState.of(chosen)
        heartbeat = Heartbeat(open_floor(chosen), chosen, state)
        clear_leftovers(heartbeat.floor, state)
        heartbeat.give_back_leftovers()
        heartbeat.beat()
        _beating.append(heartbeat)
        app.conf.worker_soft_shutdown_timeout = 0  # Celery sleeps for all of it; ours ends when all have stopped


@signals.worker_ready.connect
def _start_beating(**_: Any) -> None:  # noqa: ANN401 - Celery's signals
    for heartbeat in _beating:
        heartbeat.start()
        stop_attempts_before(heartbeat)
    ready = settings().ready_file
    if ready:
        _touch(ready)


@signals.worker_shutdown.connect
def _stop_beating(**_: Any) -> None:  # noqa: ANN401 - Celery's signals
    for heartbeat in _beating:
        heartbeat.stop()


def _touch(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
