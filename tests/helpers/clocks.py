"""A clock that a test moves."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


class Clock:
    """Tells the time to a floor (as a call), and seconds to a store in memory; both stand still but for `pass_by`."""

    def __init__(self) -> None:
        self._passed = 0.0
        self._began = time.monotonic()

    def __call__(self) -> datetime:
        return START + timedelta(seconds=self._passed)

    def seconds(self) -> float:
        """Seconds, growing; from a beginning that means nothing."""
        return self._began + self._passed

    def pass_by(self, seconds: float = 0.0, *, minutes: float = 0.0) -> None:
        """Let time pass."""
        self._passed += seconds + 60 * minutes
