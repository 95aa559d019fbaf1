"""The JSON Schemas in docs/schemas: up to date, and true of what is really printed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from jsonschema import Draft202012Validator, FormatChecker

from orchestrator.desks.direct import DirectDesk
from orchestrator.domain.halt import Reach
from orchestrator.schemas import DIRECTORY, encode, schemas
from orchestrator.services.submit import Submission
from orchestrator.views import event_view, task_view, view
from tests.helpers.floors import make_floor, publish, run

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from orchestrator.desk import Desk

PRINTED: dict[str, Callable[[Desk], list[dict[str, Any]]]] = {
    "event": lambda desk: [event_view(each) for each in desk.events()],
    "explanation": lambda desk: [view(desk.explain(each.id)) for each in desk.tasks()],
    "figures": lambda desk: [view(desk.figures())],
    "halt": lambda desk: [view(each) for each in desk.halts()],
    "host": lambda desk: [view(each) for each in desk.hosts()],
    "lock": lambda desk: [view(each) for each in desk.locks()],
    "task": lambda desk: [task_view(each) for each in desk.tasks()],
    "task-brief": lambda desk: [task_view(each, brief=True) for each in desk.tasks()],
    "train": lambda desk: [view(each) for each in desk.trains()],
}


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    """A desk of a fleet where much has happened."""
    floor = make_floor(tmp_path_factory.mktemp("floor"))
    desk = DirectDesk(floor, "ann")
    first, second, third, *_ = desk.submit(
        "web-1", [Submission(title=f"Number {each}", scope=(f"src/{each}",), labels=("rename",)) for each in range(4)]
    )
    publish(floor, first.id)
    desk.approve(first.id)
    run(floor, second.id)
    desk.cancel(third.id)
    desk.halt(Reach.FLEET, "", "fire")
    return desk


def test_every_schema_is_held_against_something() -> None:
    assert set(PRINTED) == set(schemas())


@pytest.mark.parametrize("name", schemas())
def test_what_is_printed_fits_its_schema(name: str, desk: Desk) -> None:
    schema = schemas()[name]
    Draft202012Validator.check_schema(schema)
    printed = PRINTED[name](desk)
    assert printed
    for each in printed:
        Draft202012Validator(schema, format_checker=FormatChecker()).validate(each)


@pytest.mark.parametrize("name", schemas())
def test_the_file_of_a_schema_is_up_to_date(name: str) -> None:
    kept = (DIRECTORY / f"{name}.json").read_text("utf-8")
    assert kept == encode(schemas()[name]), "run `python -m orchestrator.schemas`"


def test_there_is_no_file_without_a_schema() -> None:
    assert _names(DIRECTORY) == set(schemas())


def _names(directory: Path) -> set[str]:
    return {file.stem for file in directory.iterdir()}
