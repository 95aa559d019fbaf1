"""Reading the API's errors."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import httpx


def error_of(answer: httpx.Response) -> dict[str, str]:
    """The error of an answer, which has nothing else."""
    shown = answer.json()
    assert set(shown) == {"error"}
    assert set(shown["error"]) == {"message", "remedy", "code"}
    error: dict[str, str] = shown["error"]
    assert error["message"].endswith("."), error
    assert error["remedy"].endswith((".", ":")) or "shopfloor" in error["remedy"], error
    return error
