"""SPEC.md says what the code does: its tables are the code's."""

from __future__ import annotations

import inspect
import re
from typing import TYPE_CHECKING

import pytest

from orchestrator.desk import HostView, Lock, TrainView
from orchestrator.domain.halt import Halt, Reach
from orchestrator.domain.task import (
    TRANSITIONS,
    Cause,
    Event,
    Note,
    ReasonCode,
    State,
    Task,
    holds_slot,
)
from orchestrator.services import halt
from orchestrator.services.explain import Explanation
from orchestrator.services.figures import Figures
from orchestrator.stores.redis.keys import LAYOUT, Keys
from orchestrator.stores.redis.tasks import EVENTS_KEPT, OUTBOX_GRACE
from tests.unit.docs.pages import ROOT, coded, page, rows

if TYPE_CHECKING:
    from pydantic import BaseModel

SPEC = "SPEC.md"


def _first(heading: str, table: int = 0) -> list[str]:
    return [coded(row[0]) for row in rows(SPEC, heading, table)]


def test_states_are_those_of_the_code() -> None:
    assert _first("States") == [state.value for state in State]


def test_states_hold_slots_as_the_code_has_it() -> None:
    said = {coded(row[0]): row[3] == "yes" for row in rows(SPEC, "States")}
    assert said == {state.value: holds_slot(state) for state in State}


def test_transitions_are_those_of_the_code_word_for_word() -> None:
    shown = [
        [f"`{row.source}`" if row.source else "(new)", f"`{row.cause}`", f"`{row.target}`", row.meaning]
        for row in TRANSITIONS
    ]
    assert rows(SPEC, "Transitions") == shown


def test_reasons_are_those_of_the_code_each_with_what_to_do() -> None:
    assert _first("Reasons") == [code.value for code in ReasonCode]
    assert all(len(row) == 3 and all(row) for row in rows(SPEC, "Reasons"))


def test_event_types_are_those_of_the_code() -> None:
    of_halts = set(re.findall(r'type="(\w+)"', inspect.getsource(halt)))
    assert of_halts == {"halt", "resume"}
    assert sorted(_first("Events", 1)) == sorted({*Cause, *Note, *of_halts})


def test_event_fields_are_those_of_the_code_in_their_order() -> None:
    fields = [field.serialization_alias or name for name, field in Event.model_fields.items()]
    assert _first("Events") == fields


def test_fields_of_a_task_are_those_of_the_code() -> None:
    assert _first("A task") == list(Task.model_fields)


@pytest.mark.parametrize(
    ("command", "model"),
    [
        ("explain ID", Explanation),
        ("locks", Lock),
        ("hosts", HostView),
        ("train", TrainView),
        ("halt", Halt),
        ("fleet", Figures),
    ],
)
def test_fields_of_other_values_are_those_of_the_code(command: str, model: type[BaseModel]) -> None:
    fields = {coded(row[0]): row[2] for row in rows(SPEC, "Other values")}[command]
    named = re.findall(r"`(\w+)`", re.sub(r"\([^)]*\)", "", fields.split(";")[0]))
    assert named == list(model.model_fields)


def test_reaches_of_halts_are_those_of_the_code() -> None:
    assert _first("Halts") == [reach.value for reach in Reach]


def test_keys_are_those_of_the_code() -> None:
    said = set(_first("Redis state"))
    keys = Keys()
    made = set()
    arguments = {
        "task_id": "ID",
        "state": "STATE",
        "host": "HOST",
        "digest": "DIGEST",
        "repository": "REPOSITORY",
        "name": "NAME",
        "node": ("PATH",),
    }
    for name, member in inspect.getmembers(Keys):
        if name.startswith("_") or name == "prefix":
            continue
        if isinstance(member, property):
            made.add(getattr(keys, name))
        else:
            wanted = list(inspect.signature(member).parameters)[1:]
            made.add(member(keys, *(arguments[each] for each in wanted)))
    assert said == made


def test_the_figures_of_the_state_are_those_of_the_code() -> None:
    text = page(SPEC)
    assert f"layout, `{LAYOUT}`" in re.sub(r"\s+", " ", text)
    assert f"The newest {EVENTS_KEPT:,} or so" in text
    assert f"within {OUTBOX_GRACE // 1000} seconds is sent by the reconciler" in text


def test_messages_are_those_that_are_sent() -> None:
    said = {name for row in rows(SPEC, "The outbox") for name in re.findall(r"`([^`]+)`", row[0])}
    sources = [ROOT / "orchestrator" / "courier.py", ROOT / "workers" / "chain.py"]
    sent = {name for path in sources for name in re.findall(r'= "(shopfloor\.\w+)"', path.read_text("utf-8"))}
    assert said == sent
