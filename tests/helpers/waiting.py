"""Waiting for a condition with a deadline, never for a time."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

_POLL = 0.002  # seconds


def eventually(look: Callable[[], T], what: str, seconds: float = 10.0) -> T:
    """Look again and again until what is seen is true.

    Args:
        look: Called until its result is truthy.
        what: What is waited for, for the message.
        seconds: The deadline.

    Returns:
        What was seen.

    Raises:
        TimeoutError: the deadline has passed.
    """
    deadline = time.monotonic() + seconds
    while True:
        seen = look()
        if seen:
            return seen
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} did not come about within {seconds} s; last seen: {seen!r}")
        time.sleep(_POLL)
