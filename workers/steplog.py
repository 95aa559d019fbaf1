"""The log of one run of a step: streamed while it runs, bounded, its end always kept."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from orchestrator.errors import ShopfloorError
from orchestrator.store import LogChunk

if TYPE_CHECKING:
    from orchestrator.store import Store

_log = logging.getLogger(__name__)

STREAMED = 256 * 1024
"""Bytes of a run that are streamed as they come; of what follows, the end is kept."""

END = 64 * 1024
_EVERY = 0.2  # seconds between two writes
_PAUSE = 5.0  # seconds before the store is tried again


class StepLog:
    """Takes a run's output and appends it to the task's log in the store.

    A store that cannot be reached stops no step: what it did not take is counted as left out.
    """

    def __init__(self, store: Store, task_id: str, attempt: int, round_number: int, step: str) -> None:
        self._store = store
        self._task_id = task_id
        self._run = (attempt, round_number, step)
        self._waiting = bytearray()
        self._end = bytearray()
        self._streamed = 0
        self._left_out = 0
        self._next = 0.0

    def write(self, text: bytes) -> None:
        """Take some output."""
        room = max(0, STREAMED - self._streamed - len(self._waiting))
        self._waiting += text[:room]
        if len(text) > room:
            self._end += text[room:][-END:]
            self._left_out += max(0, len(text) - room)
            del self._end[:-END]
        if self._waiting and time.monotonic() >= self._next:
            self._flush()

    def say(self, sentence: str) -> None:
        """Add a line of our own."""
        self.write(f"[shopfloor] {sentence}\n".encode())

    def close(self) -> None:
        """Write what is left, and how much was left out before the end."""
        self._flush()
        missing = self._left_out - len(self._end)
        if missing > 0:
            self._append(f"\n[shopfloor] {missing} bytes are left out here\n".encode())
        if self._end:
            self._append(bytes(self._end))
        self._end.clear()
        self._left_out = 0

    def _flush(self) -> None:
        if self._waiting and self._append(bytes(self._waiting)):
            self._streamed += len(self._waiting)
            self._waiting.clear()

    def _append(self, text: bytes) -> bool:
        try:
            self._store.append_log(self._task_id, LogChunk("", *self._run, text))
        except ShopfloorError as error:
            _log.warning("log of %s is not written for now: %s", self._task_id, error)
            self._next = time.monotonic() + _PAUSE
            return False
        self._next = time.monotonic() + _EVERY
        return True
