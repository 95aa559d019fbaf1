"""The JSON of the product: the one place that says how a value looks to a person or a system outside.

The command line and the API print what these functions return, so that their JSON is one contract (SPEC.md, section
JSON; schemas in `docs/schemas/`). Times are ISO 8601 in UTC; what is not known is null. The JSON of a task loses
nothing: `Task.model_validate` reads it back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from orchestrator.errors import (
    GitError,
    InputError,
    NotFoundError,
    RefusedError,
    SetupError,
    ShopfloorError,
    StaleError,
    TransitionError,
    UnreachableError,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pydantic import BaseModel

    from orchestrator.domain.task import Event, Task

View = dict[str, Any]

BRIEF_LEAVES_OUT = frozenset({"body", "steps"})
"""What a task in a list does not show."""

EVENT_KEYS = ("seq", "at", "task", "type", "from", "to", "fence", "host")
"""What every event shows, null where it is unknown; other keys are there where they say something."""

ERROR_CODES: dict[str, type[ShopfloorError]] = {
    "transition": TransitionError,
    "stale": StaleError,
    "refused": RefusedError,
    "not_found": NotFoundError,
    "input": InputError,
    "unreachable": UnreachableError,
    "git": GitError,
    "setup": SetupError,
    "failed": ShopfloorError,
    # What only the API says:
    "unauthenticated": SetupError,
    "forbidden": RefusedError,
    "too_large": InputError,
    "method_not_allowed": InputError,
    "internal": ShopfloorError,
}
"""The kind of error that each code in JSON stands for. An error's own code is the first that fits."""


def task_view(task: Task, *, brief: bool = False) -> View:
    """The JSON of one task, as `show --json` prints it.

    Args:
        task: The task.
        brief: Leave out `body` and `steps`, as in a list.
    """
    shown = task.model_dump(mode="json", exclude=set(BRIEF_LEAVES_OUT) if brief else None)
    for meter in ("tokens", "minutes"):
        shown[meter] = {name: _plain(amount) for name, amount in shown[meter].items()}
    return shown


def event_view(event: Event) -> View:
    """The JSON of one event, as `events --json` prints it."""
    shown = event.model_dump(mode="json", by_alias=True)
    first = {key: shown.pop(key) for key in EVENT_KEYS}
    return first | {key: value for key, value in shown.items() if value is not None}


def view(value: BaseModel) -> View:
    """The JSON of any other value of the desk: a lock, a host, a train, a halt, an explanation, a blueprint."""
    return value.model_dump(mode="json")


def views(values: Sequence[BaseModel]) -> list[View]:
    """The JSON of several of them."""
    return [view(each) for each in values]


def _plain(amount: float) -> float:
    """A whole number without its `.0`: nobody counts tokens in fractions."""
    return int(amount) if float(amount).is_integer() else amount


def error_view(error: ShopfloorError, code: str | None = None) -> View:
    """The JSON of an error, as the API answers it.

    Args:
        error: What was wrong, and what to do about it.
        code: One of `ERROR_CODES`; by the kind of the error where it is left out.
    """
    code = code or next(code for code, kind in ERROR_CODES.items() if isinstance(error, kind))
    return {"error": {"message": error.message, "remedy": error.remedy, "code": code}}


def error_of(shown: object) -> ShopfloorError | None:
    """The error that such a JSON tells of; None where it is no such JSON."""
    match shown:
        case {"error": {"message": str(message), "remedy": str(remedy), "code": str(code)}}:
            return ERROR_CODES.get(code, ShopfloorError)(message, remedy)
        case _:
            return None
