"""Reads the file of `submit --batch`: a list of tasks in strict YAML, of which JSON is a part."""

from __future__ import annotations

from typing import TYPE_CHECKING

from blueprints.errors import BlueprintError, one_of
from blueprints.reader import read
from orchestrator.cli.text import line
from orchestrator.errors import InputError
from orchestrator.services.submit import Submission, read_submission

if TYPE_CHECKING:
    from blueprints.reader import Document

_FIELDS = tuple(Submission.model_fields)


def read_batch(content: bytes, file: str) -> list[Submission]:
    """Read a batch.

    Args:
        content: The file's content, at most 256 KiB of UTF-8.
        file: Its path, for errors.

    Returns:
        Its tasks, in the order of the file.

    Raises:
        InputError: the first thing that is wrong with it, naming file, line and key.
    """
    try:
        document = read(content, file)
        if not isinstance(document.value, list) or not document.value:
            raise document.error((), "holds no list of tasks", "a list such as `- {title: ..., scope: [...]}`")
        for place, task in enumerate(document.value):
            _check_fields(document, place, task)
    except BlueprintError as error:
        raise InputError(f"{line(str(error))}.", "Correct it and submit again; nothing was submitted.") from error
    return [_submission(document, place, task) for place, task in enumerate(document.value)]


def _check_fields(document: Document, place: int, task: object) -> None:
    if not isinstance(task, dict):
        raise document.error((place,), "is no task", "a mapping with a title")
    unknown = next((key for key in task if key not in _FIELDS), None)
    if unknown is not None:
        raise document.error((place, unknown), "is not a field of a task", one_of(unknown, _FIELDS))
    if "title" not in task:
        raise document.error((place,), "has no title", "a title in each task")


def _submission(document: Document, place: int, task: dict[str, object]) -> Submission:
    try:
        return read_submission(task)
    except InputError as error:
        where = f"{document.file}:{document.line((place,))}: task {place + 1} of the batch"
        raise InputError(f"{where}: {error.message}", f"{error.remedy} Nothing was submitted.") from error
