"""Signals as something to wait for, beside time and pipes: no signal interrupts anything at a bad moment."""

from __future__ import annotations

import os
import select
import signal
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import FrameType, TracebackType

_STOPPING = (signal.SIGINT, signal.SIGTERM)
_ALSO = (signal.SIGHUP, signal.SIGCHLD)


class Alarm:
    """Counts the requests to stop, and wakes whoever waits.

    Within it SIGINT, SIGTERM and (if told so) SIGHUP only count; a child's end wakes.

    Args:
        hangup_stops: Whether the end of the terminal (SIGHUP) is a request to stop, too.
    """

    def __init__(self, *, hangup_stops: bool) -> None:
        self.requests = 0
        self._stopping = (*_STOPPING, signal.SIGHUP) if hangup_stops else _STOPPING
        self._bell, self._ring = os.pipe()

    def __enter__(self) -> Self:
        os.set_blocking(self._bell, False)
        os.set_blocking(self._ring, False)
        self._fd_before = signal.set_wakeup_fd(self._ring, warn_on_full_buffer=False)
        self._before = {number: signal.signal(number, self._note) for number in (*_STOPPING, *_ALSO)}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._fd_before)
        os.close(self._bell)
        os.close(self._ring)

    def wait(self, seconds: float, others: Sequence[int] = ()) -> list[int]:
        """Wait for a signal, for something to read, or for time to pass; returns which of `others` can be read."""
        ready = select.select([self._bell, *others], [], [], max(0.0, seconds))[0]
        if self._bell in ready:
            while True:
                try:
                    os.read(self._bell, 512)
                except BlockingIOError:
                    break
        return [other for other in others if other in ready]

    def _note(self, number: int, _frame: FrameType | None) -> None:
        self.requests += number in self._stopping
