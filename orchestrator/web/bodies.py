"""What requests bring."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Body
from pydantic import Discriminator, Field, Tag

from orchestrator.domain.frozen import Frozen
from orchestrator.domain.halt import Reach
from orchestrator.services.submit import BATCH_MAX, Submission

WHY_MAX = 2000


class NewTask(Submission):
    """One task. `repository` (id or name) may be left out where the fleet has one."""

    repository: str | None = None


class NewBatch(Frozen):
    """Tasks that belong together; `key` names one, so that others of the batch can depend on it."""

    repository: str | None = None
    tasks: tuple[Submission, ...] = Field(min_length=1, max_length=BATCH_MAX)


def _kind(body: Any) -> str:  # noqa: ANN401 - whatever JSON there is
    return "batch" if isinstance(body, NewBatch) or (isinstance(body, dict) and "tasks" in body) else "task"


Work = Annotated[
    Annotated[NewTask, Tag("task")] | Annotated[NewBatch, Tag("batch")],
    Discriminator(_kind),
    Body(
        openapi_examples={
            "task": {
                "summary": "One task",
                "value": {"title": "Fix the login timeout", "labels": ["bug"], "scope": ["src/auth"], "priority": 1},
            },
            "batch": {
                "summary": "Two tasks, the second after the first",
                "value": {
                    "repository": "web-0a1b2c3d4e",
                    "tasks": [
                        {"key": "schema", "title": "Add the column", "scope": ["db"]},
                        {"title": "Show the column", "scope": ["ui"], "depends_on": ["schema"]},
                    ],
                },
            },
        }
    ),
]


class Rejection(Frozen):
    """Why a change goes back; the agent is told these words."""

    why: str = Field(min_length=1, max_length=20_000, examples=["the error message names the wrong file"])


class HaltOrder(Frozen):
    """What to stop, and why. `name` is the repository's id, the blueprint, host or task; empty for the fleet."""

    reach: Reach = Reach.FLEET
    name: str = Field(default="", max_length=200)
    why: str = Field(default="no reason given", min_length=1, max_length=WHY_MAX, examples=["agents loop on CI"])


class ResumeOrder(Frozen):
    """Which halts to lift, by key (`fleet`, `blueprint:docs`); all where none is named."""

    keys: tuple[str, ...] = Field(default=(), max_length=1000)
