"""Celery's consumer, that comes back soon after its broker does.

Celery waits two seconds longer before each try, up to half a minute, and gives up after a hundred: after minutes
without Redis a host would be listed, for its heartbeat is back at once, and yet take no message for half a minute.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from celery.worker.consumer import Consumer

if TYPE_CHECKING:
    from kombu import Connection


class SoonBack(Consumer):
    """Tries to connect every two seconds at least."""

    def ensure_connected(self, conn: Connection) -> Connection:
        """Connect, however long it takes."""
        soon = partial(conn.ensure_connection, interval_start=1, interval_step=1, interval_max=2)  # seconds
        conn.ensure_connection = soon  # type: ignore[method-assign]
        connected: Connection = super().ensure_connected(conn)
        return connected
