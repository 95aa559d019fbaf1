"""The refs of a repository that Shopfloor keeps its work under (SPEC.md, section Refs)."""

from __future__ import annotations


def candidate_ref(fence: int) -> str:
    """Where a candidate is kept while it is verified."""
    return f"refs/shopfloor/candidates/{fence}"


def checkpoint_ref(task_id: str, fence: int | str) -> str:
    """Where an attempt keeps its last checkpoint; with no fence (""), what all attempts of a task begin with."""
    return f"refs/shopfloor/checkpoints/{task_id}/{fence}"
