"""The JSON of tasks, events and errors."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from orchestrator.domain.task import Cause, Change, Event, Meter, Reason, ReasonCode, State, StepRun, Task
from orchestrator.errors import ShopfloorError, StaleError, TransitionError
from orchestrator.views import ERROR_CODES, EVENT_KEYS, error_of, error_view, event_view, task_view
from tests.helpers.tasks import NOW, make_event, make_task

STEP = StepRun(name="edit", kind="agent", round=1, attempt=1, host="h1", state="running", started_at=NOW)
FULL = make_task(
    body="b\u00f6dy",
    tokens=Meter.of(1000).used(10.5),
    minutes=Meter.of(20),
    change=Change(id="T1", url="file:///srv/R1#b", state="open", tier="human"),
    reason=Reason(code=ReasonCode.NEXT, text="is next."),
    steps=(STEP,),
    started_at=NOW + timedelta(microseconds=5),
)


@pytest.mark.parametrize("task", [make_task(), FULL])
def test_a_tasks_json_reads_back_as_the_task(task: Task) -> None:
    assert Task.model_validate(json.loads(json.dumps(task_view(task)))) == task


def test_a_task_shows_times_in_utc_and_whole_numbers_whole() -> None:
    shown = task_view(FULL)
    assert shown["started_at"] == "2026-03-01T12:00:00.000005Z"
    assert shown["tokens"] == {"budget": 1000, "spent": 10.5, "allowance": 1000}
    assert json.dumps(shown["minutes"]) == '{"budget": 20, "spent": 0, "allowance": 20}'
    assert shown["change"] == {"id": "T1", "url": "file:///srv/R1#b", "state": "open", "tier": "human"}


def test_a_task_in_a_list_leaves_out_body_and_steps() -> None:
    whole, brief = task_view(FULL), task_view(FULL, brief=True)
    assert set(whole) - set(brief) == {"body", "steps"}


def test_an_event_always_shows_eight_keys() -> None:
    shown = event_view(make_event("halt"))
    assert tuple(shown) == EVENT_KEYS
    assert shown["from"] is None


def test_an_event_shows_more_where_there_is_more() -> None:
    event = make_event(Cause.CLAIMED, make_task(), source=State.QUEUED, target=State.RUNNING, round=1)
    shown = event_view(event)
    assert (shown["from"], shown["to"], shown["round"]) == ("queued", "running", 1)
    assert Event.model_validate(json.loads(json.dumps(shown))) == event


@pytest.mark.parametrize("kind", sorted(set(ERROR_CODES.values()), key=str))
def test_an_error_comes_back_as_what_it_was(kind: type[ShopfloorError]) -> None:
    back = error_of(error_view(kind("It is wrong.", "Mend it.")))
    assert (type(back), back and back.message, back and back.remedy) == (kind, "It is wrong.", "Mend it.")


def test_a_special_error_has_the_code_of_its_own_kind() -> None:
    assert error_view(TransitionError("x"))["error"]["code"] == "transition"
    assert error_view(StaleError("x"))["error"]["code"] == "stale"


@pytest.mark.parametrize("shown", [None, [], {}, {"error": "x"}, {"detail": "Not Found"}, {"error": {"message": 1}}])
def test_other_json_tells_of_no_error(shown: object) -> None:
    assert error_of(shown) is None
