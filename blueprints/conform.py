"""From a document to a model: the first thing that does not conform, named by file, line and key."""

from __future__ import annotations

import json
from types import UnionType
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, ValidationError

from blueprints.errors import REFUSAL, BlueprintError, one_of

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo
    from pydantic_core import ErrorDetails

    from blueprints.reader import Document, KeyPath

_SHOWN = 60
_COUNTED = 20  # from here on a length says more than the word

_M = TypeVar("_M", bound="Shape")


class Shape(BaseModel):
    """A frozen model without unknown keys; the description of each field says what was expected of it."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def conform(document: Document, model: type[_M]) -> _M:
    """Make a model of a document, without bending any type (the text "5" is no number).

    Args:
        document: What was read.
        model: What it must be.

    Returns:
        The model.

    Raises:
        BlueprintError: It is something else; says so about one key, an unknown one first, then by line.
    """
    if not isinstance(document.value, dict):
        what = "the file is empty" if document.value is None else f"the file is {describe(document.value)}"
        raise document.error((), what, f"a mapping with the keys {', '.join(model.model_fields)}")
    try:
        # As JSON, for there strictness takes a list for a tuple and a text for an enum, and nothing else.
        return model.model_validate_json(json.dumps(document.value), strict=True)
    except ValidationError as error:
        found = [(_key(problem, document.value), problem) for problem in error.errors(include_url=False)]
    found.sort(key=lambda item: (item[1]["type"] != "extra_forbidden", document.line(item[0]) or 0))
    path, problem = found[0]
    raise _blame(document, model, path, problem)


def describe(value: object) -> str:
    """Say what a value is: `empty`, `a list`, `'main'`, `5`."""
    match value:
        case None:
            return "empty"
        case str() if len(value) > _SHOWN:
            return f"a text of {len(value)} characters"
        case str():
            return f"'{value}'" if value.isprintable() else ascii(value)
        case list() | dict():
            kind = "list" if isinstance(value, list) else "mapping"
            if len(value) > _COUNTED:
                return f"a {kind} of {len(value)} items"
            return f"a {kind}" if value else f"an empty {kind}"
        case _:
            return json.dumps(value)


def _key(problem: ErrorDetails, value: object) -> KeyPath:
    """Turn pydantic's location into a path of the file, leaving out parts that only pydantic knows."""
    path: KeyPath = ()
    here: Any = value
    loc = problem["loc"]
    for place, part in enumerate(loc):
        inside = (isinstance(here, dict) and part in here) or (
            isinstance(here, list) and isinstance(part, int) and part < len(here)
        )
        if inside:
            here = here[part]
            path = (*path, part)
        elif problem["type"] == "missing" and place == len(loc) - 1:
            path = (*path, part)
    return (*path, *problem.get("ctx", {}).get("at", ())) if problem["type"] == REFUSAL else path


def _blame(document: Document, model: type[BaseModel], path: KeyPath, problem: ErrorDetails) -> BlueprintError:
    context = problem.get("ctx", {})
    owner, field = _declared(model, path)
    described = field.description if field is not None and field.description else _plain(problem["msg"])
    match problem["type"]:
        case "extra_forbidden":
            known = owner.model_fields if owner is not None else ()
            return document.error(path, "is not a known key", one_of(str(path[-1]), known))
        case "missing":
            return document.error(path, "is missing", described)
        case kind if kind == REFUSAL:
            return document.error(path, context["message"], context["expected"])
        case _ if problem["loc"][-1] == "[key]":
            return document.error(path, "is not a usable name", described)
        case _:
            if path and isinstance(path[-1], int) and not described.startswith("a mapping"):
                described = f"one item of {described}"
            return document.error(path, f"is {describe(problem['input'])}", described)


def _plain(message: str) -> str:
    return message.removeprefix("Input should be ").removeprefix("Value should be ")


def _declared(model: type[BaseModel], path: KeyPath) -> tuple[type[BaseModel] | None, FieldInfo | None]:
    """Find the model that a key belongs to, and the innermost field around that key."""
    here: object = model
    owner: type[BaseModel] | None = None
    field: FieldInfo | None = None
    for part in path:
        here = _bare(here)
        if isinstance(here, type) and issubclass(here, BaseModel):
            owner = here
            declared = here.model_fields.get(str(part))
            if declared is None:
                return owner, field
            field, here = declared, declared.annotation
        else:
            arguments = get_args(here)
            here = arguments[-1 if get_origin(here) is dict else 0] if arguments else None
    return owner, field


def _bare(annotation: object) -> object:
    """Strip `Annotated` and `| None` off a type."""
    while get_origin(annotation) in {Annotated, Union, UnionType}:
        arguments = [argument for argument in get_args(annotation) if argument is not type(None)]
        annotation = arguments[0]
    return annotation
