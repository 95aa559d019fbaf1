"""Halts: what each reach stops, and what a person is told."""

from __future__ import annotations

import pytest

from orchestrator.domain.halt import Halt, Reach, halt_of
from tests.helpers.tasks import make_halt, make_task

TASK = make_task(id="T1", repository="R1", blueprint="docs")


@pytest.mark.parametrize("host", [None, "h1"])
def test_a_halt_of_the_fleet_stops_everything(host: str | None) -> None:
    assert make_halt().stops(TASK, host)


@pytest.mark.parametrize(
    ("reach", "name"), [(Reach.REPOSITORY, "R1"), (Reach.BLUEPRINT, "docs"), (Reach.TASK, "T1"), (Reach.HOST, "h1")]
)
def test_a_narrowed_halt_stops_exactly_what_it_names(reach: Reach, name: str) -> None:
    assert make_halt(reach, name).stops(TASK, "h1")
    assert not make_halt(reach, name.upper() if name.islower() else name.lower()).stops(TASK, "h1")
    assert not make_halt(reach, f"{name}1").stops(TASK, "h1")
    assert not make_halt(reach, "").stops(TASK, "h1")


def test_a_halt_of_a_host_stops_no_task_that_is_on_none() -> None:
    assert not make_halt(Reach.HOST, "h1").stops(TASK, None)


def test_the_first_halt_in_reach_is_the_one_that_is_told() -> None:
    halts = [make_halt(Reach.TASK, "T9"), make_halt(Reach.BLUEPRINT, "docs"), make_halt()]
    assert halt_of(halts, TASK, None) == halts[1]
    assert halt_of(halts[:1], TASK, None) is None
    assert halt_of([], TASK, "h1") is None


def test_there_is_one_halt_for_each_reach_and_name() -> None:
    keys = {make_halt(reach, "" if reach is Reach.FLEET else "x").key for reach in Reach}
    assert keys == {"fleet", "repository:x", "blueprint:x", "host:x", "task:x"}


@pytest.mark.parametrize(
    ("halt", "sentence"),
    [
        (make_halt(), "the fleet was halted by ann at 2026-03-01 12:00:00 UTC: a test"),
        (make_halt(Reach.HOST, "h1"), "host h1 was halted by ann at 2026-03-01 12:00:00 UTC: a test"),
    ],
)
def test_a_person_is_told_what_by_whom_when_and_why(halt: Halt, sentence: str) -> None:
    assert halt.sentence() == sentence
