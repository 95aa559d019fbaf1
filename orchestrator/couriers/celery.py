"""Sends wake-up calls through Celery, by name: the orchestrator knows no worker's code."""

from __future__ import annotations

import logging
from functools import cached_property
from typing import TYPE_CHECKING

from orchestrator.courier import PREPARE, message_id

if TYPE_CHECKING:
    from collections.abc import Sequence

    from celery import Celery

    from orchestrator.store import Wake

_log = logging.getLogger(__name__)

_RETRY = {"max_retries": 2, "interval_start": 0, "interval_step": 0.2, "interval_max": 0.2}

TRANSPORT = {
    "visibility_timeout": 86_400,  # nothing is acknowledged late, so nothing is to be delivered again
    "unacked_restore_interval": 10,
    "unacked_restore_throttle": 1,
    "priority_steps": list(range(10)),
    "queue_order_strategy": "priority",
    "socket_timeout": 10,
    "socket_keepalive": True,
    "health_check_interval": 15,
}
"""How kombu uses Redis, for senders and workers alike."""


class CeleryCourier:
    """`Courier` on a Celery broker.

    Args:
        url: The broker's URL.
    """

    def __init__(self, url: str) -> None:
        self._url = url

    @cached_property
    def _app(self) -> Celery:
        from celery import Celery  # noqa: PLC0415 - a fifth of a second, which commands that send nothing do not pay

        app = Celery("shopfloor", broker=self._url, set_as_current=False)
        app.conf.update(
            broker_transport_options=TRANSPORT,
            task_ignore_result=True,
            task_publish_retry_policy=_RETRY,
            broker_connection_timeout=4,
        )
        return app

    def send(self, wake: Wake) -> bool:
        """See `Courier.send`."""
        from kombu.exceptions import OperationalError  # noqa: PLC0415 - as above

        ident = None
        if wake.name == PREPARE:
            task_id, fence = wake.args
            ident = message_id(str(task_id), int(fence), 0, "prepare")
        try:
            self._app.send_task(wake.name, args=list(wake.args), queue=wake.queue, task_id=ident)
        except (OperationalError, OSError) as error:
            _log.warning("message %s was not sent now: %s", wake.name, error)
            return False
        return True

    def revoke(self, message_ids: Sequence[str]) -> None:
        """See `Courier.revoke`; a broker that cannot be reached loses nothing: the halt is durable in the store."""
        from kombu.exceptions import OperationalError  # noqa: PLC0415 - as above

        if not message_ids:
            return
        try:
            self._app.control.revoke(list(message_ids))
        except (OperationalError, OSError) as error:
            _log.warning("the revoke broadcast was not sent: %s", error)
