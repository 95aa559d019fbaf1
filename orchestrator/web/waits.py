"""Waiting for what is not there yet, without keeping others from being served.

The framework runs what blocks in one pool of threads. A wait holds a thread for seconds, so waits have places of their
own, and give them up after a slice: short requests never queue behind them, however many clients follow the fleet.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

from anyio import CapacityLimiter, to_thread

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

_SLICE = 0.5  # seconds: also the longest that a thread outlives its client, or the server
_PLACES = 64

LONGEST = 30.0
"""Seconds that one request may wait."""

_T = TypeVar("_T")


class Waits:
    """The waits of one application."""

    def __init__(self) -> None:
        self._places = CapacityLimiter(_PLACES)
        self._over = False

    @property
    def over(self) -> bool:
        """Whether nobody is to wait any more, for the server stops."""
        return self._over

    def end(self) -> None:
        """Let every wait come to its end, within a slice."""
        self._over = True

    async def wait_for(
        self, look: Callable[[float], list[_T]], seconds: float, gone: Callable[[], Awaitable[bool]] | None = None
    ) -> list[_T]:
        """Look until there is something, the time is over, the client has gone, or the server stops.

        Args:
            look: Blocks for at most the seconds that it is given, and returns what there is.
            seconds: How long to wait in all; 0 looks once.
            gone: Tells whether the client has gone away.
        """
        ends = time.monotonic() + seconds
        while True:
            left = max(0.0, min(ends - time.monotonic(), _SLICE))
            found = await to_thread.run_sync(look, left, limiter=self._places, abandon_on_cancel=True)
            if found or self._over or time.monotonic() >= ends or (gone and await gone()):
                return found
