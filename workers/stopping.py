"""Stops a host's agents before Celery stops the worker.

Celery says that a worker shuts down (`worker_shutting_down`) only when it has waited for what runs, and what runs here
is agents, that may take hours. So the signals that shut a worker down first do what has to be done before that wait.
"""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from workers.heartbeat import Heartbeat

STOP_SECONDS = 10.0
"""For agents to die and their tasks to be given back; it takes a second. What remains then is found by its lease."""

_SIGNALS = (signal.SIGTERM, signal.SIGQUIT, signal.SIGINT)


def stop_attempts_before(heartbeat: Heartbeat) -> None:
    """Put the end of this host's attempts before whatever the signals that shut a worker down do now."""
    for number in _SIGNALS:
        then = signal.getsignal(number)
        if callable(then):
            signal.signal(number, _stopping_first(heartbeat, then, os.getpid()))


def _stopping_first(heartbeat: Heartbeat, then: Callable[..., Any], worker: int) -> Callable[[int, Any], None]:
    def handle(number: int, frame: Any) -> None:  # noqa: ANN401 - what the interpreter passes
        if os.getpid() == worker:  # a process of the pool inherits the handler
            heartbeat.stop_attempts()
            heartbeat.await_stopped(STOP_SECONDS)
        then(number, frame)

    return handle
