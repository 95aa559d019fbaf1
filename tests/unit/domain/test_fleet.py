"""Placement: which queued task goes to which host next, and why the others do not."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from orchestrator.domain.fleet import AGE_STEP, RESERVE_AFTER, Holding, Snapshot, choose, rank
from orchestrator.domain.halt import Halt, Reach
from orchestrator.domain.scope import Scope
from orchestrator.domain.task import Reason, ReasonCode, Task
from tests.helpers.tasks import NOW, make_halt, make_host, make_task

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.domain.fleet import Host, Plan


def queued(number: int, *scope: str, waited: timedelta = timedelta(0), **changes: Any) -> Task:  # noqa: ANN401 - the fields' own types
    fields: dict[str, Any] = {"id": f"T{number}", "queued_at": NOW - waited} | changes
    return make_task(**fields, **({"scope": scope} if scope else {}))


def held(task: str, *scope: str, repository: str = "R1") -> Holding:
    return Holding(task, repository, Scope.of(scope))


def plan(
    tasks: Sequence[Task],
    hosts: Sequence[Host] = (make_host(slots=10),),
    *,
    holdings: Sequence[Holding] = (),
    busy: dict[str, int] | None = None,
    halts: Sequence[Halt] = (),
    now: datetime = NOW,
) -> Plan:
    return choose(Snapshot(tasks, holdings, hosts, busy or {}, halts, now))


def placed(found: Plan) -> list[tuple[str, str]]:
    return [(task.id, host.name) for task, host in found.placements]


def why(found: Plan, task: str) -> tuple[ReasonCode, str]:
    return found.reasons[task].code, found.reasons[task].text


def test_nothing_queued_is_nothing_to_place() -> None:
    assert placed(plan([])) == []


def test_the_more_urgent_goes_first_then_the_one_that_waited_longer_then_the_lower_number() -> None:
    tasks = [
        queued(10),
        queued(9),
        queued(3, priority=4),
        queued(4, priority=0),
        queued(5, waited=timedelta(minutes=5)),
    ]
    assert [task for task, _ in placed(plan(tasks))] == ["T4", "T5", "T9", "T10", "T3"]


def test_a_task_gains_a_priority_for_each_time_that_it_has_waited() -> None:
    old, urgent = queued(1, priority=4, waited=3 * AGE_STEP), queued(2, priority=2)
    assert sorted([urgent, old], key=lambda task: rank(task, NOW)) == [old, urgent]
    young = queued(1, priority=4, waited=AGE_STEP)
    assert sorted([urgent, young], key=lambda task: rank(task, NOW)) == [urgent, young]


def test_what_lost_its_host_goes_on_before_anything_begins() -> None:
    reason = Reason(code=ReasonCode.HOST_LOST, text="its host was lost.")
    interrupted = queued(2, priority=4).model_copy(update={"reason": reason})
    old, urgent = queued(1, waited=3 * AGE_STEP), queued(3, priority=0)
    assert min([urgent, old, interrupted], key=lambda task: rank(task, NOW)) == interrupted


def test_a_clock_that_went_back_makes_no_task_less_urgent() -> None:
    assert rank(queued(1, waited=-10 * AGE_STEP), NOW)[0] == 2


def test_scopes_that_meet_are_not_placed_together_and_the_reason_names_the_first() -> None:
    found = plan([queued(1, "src"), queued(2, "src/a.py"), queued(3, "docs")])
    assert placed(found) == [("T1", "h1"), ("T3", "h1")]
    code, text = why(found, "T2")
    assert code is ReasonCode.SCOPE_BUSY
    assert text == "its scope src/a.py meets src, which is held by T1."


def test_a_scope_that_is_held_is_waited_for_and_the_holder_is_named() -> None:
    found = plan([queued(1, "src/a.py")], holdings=[held("T7", "docs"), held("T8", "src/*.py")])
    assert why(found, "T1")[0] is ReasonCode.SCOPE_BUSY
    assert "held by T8" in why(found, "T1")[1]


def test_a_task_is_not_in_its_own_way() -> None:
    assert placed(plan([queued(1, "src")], holdings=[held("T1", "src")])) == [("T1", "h1")]


def test_scopes_of_two_repositories_never_meet() -> None:
    assert placed(plan([queued(1, "**")], holdings=[held("T8", "**", repository="R2")])) == [("T1", "h1")]


def test_a_scope_that_was_waited_for_long_is_reserved_for_who_waits() -> None:
    holdings = [held("T8", "src/a")]
    wide = queued(1, "src", waited=RESERVE_AFTER)
    found = plan([wide, queued(2, "src/b"), queued(3, "docs")], holdings=holdings)
    assert placed(found) == [("T3", "h1")]
    assert why(found, "T2") == (
        ReasonCode.SCOPE_RESERVED,
        "its scope src/b meets src, which is reserved, after a long wait, by T1.",
    )


def test_a_scope_that_was_waited_for_briefly_is_not_reserved() -> None:
    wide = queued(1, "src", waited=RESERVE_AFTER - timedelta(seconds=1))
    assert placed(plan([wide, queued(2, "src/b")], holdings=[held("T8", "src/a")])) == [("T2", "h1")]


@pytest.mark.parametrize(
    "halts", [(), (make_halt(Reach.HOST, "gpu"),)], ids=["no host has what it needs", "the one that has is halted"]
)
def test_a_scope_is_not_reserved_for_a_task_that_no_host_can_take(halts: Sequence[Halt]) -> None:
    hosts = [make_host("h1"), make_host("gpu", capabilities=("gpu",))] if halts else [make_host("h1")]
    wide = queued(1, "src", waited=RESERVE_AFTER, needs=("gpu",))
    found = plan([wide, queued(2, "src/b")], hosts, holdings=[held("T8", "src/a")], halts=halts)
    assert placed(found) == [("T2", "h1")]


def test_no_more_are_placed_than_there_are_free_slots() -> None:
    found = plan([queued(number) for number in range(1, 5)], [make_host(slots=3)], busy={"h1": 1})
    assert placed(found) == [("T1", "h1"), ("T2", "h1")]
    assert why(found, "T3") == (ReasonCode.NO_SLOT, "all 3 slots of the hosts that could take it are busy.")


def test_a_host_with_fewer_slots_than_it_had_takes_nothing() -> None:
    assert placed(plan([queued(1)], [make_host(slots=1)], busy={"h1": 3})) == []


def test_the_host_with_the_most_room_is_taken() -> None:
    hosts = [make_host("h1", 4), make_host("h2", 4), make_host("h3", 2)]
    found = plan([queued(1), queued(2), queued(3)], hosts, busy={"h2": 1})
    assert placed(found) == [("T1", "h1"), ("T2", "h2"), ("T3", "h1")]


def test_a_host_that_it_failed_on_is_avoided_while_there_is_another() -> None:
    task = queued(1, avoid_host="h1")
    assert placed(plan([task], [make_host("h1", 9), make_host("h2", 1)])) == [("T1", "h2")]
    assert placed(plan([task], [make_host("h1", 9)])) == [("T1", "h1")]


def test_a_task_that_failed_through_no_fault_of_its_own_waits_for_its_time() -> None:
    task = queued(1, retry_at=NOW + timedelta(seconds=8), infra_failures=2)
    assert why(plan([task]), "T1") == (
        ReasonCode.BACKOFF,
        "waits 8 s more after failure 2 that was not its own.",
    )
    assert placed(plan([task], now=NOW + timedelta(seconds=8))) == [("T1", "h1")]
    assert placed(plan([task], now=NOW - timedelta(hours=1))) == [("T1", "h1")]


def test_a_task_goes_only_where_all_that_it_needs_is() -> None:
    hosts = [make_host("h1", 9), make_host("h2", 1, capabilities=("gpu", "x11"))]
    found = plan([queued(1, needs=("gpu", "x11")), queued(2, needs=("gpu", "arm"))], hosts)
    assert placed(found) == [("T1", "h2")]
    assert why(found, "T2") == (
        ReasonCode.NO_CAPABILITY,
        "no connected host has all of what it needs: gpu, arm.",
    )


def test_slots_of_hosts_that_cannot_take_it_are_not_counted() -> None:
    hosts = [make_host("h1", 9), make_host("h2", 1, capabilities=("gpu",))]
    found = plan([queued(1, needs=("gpu",))], hosts, busy={"h2": 1})
    assert why(found, "T1") == (ReasonCode.NO_SLOT, "all 1 slots of the hosts that could take it are busy.")


def test_without_a_host_the_reason_says_how_to_get_one() -> None:
    code, text = why(plan([queued(1)], []), "T1")
    assert code is ReasonCode.NO_HOST
    assert "shopfloor up" in text


@pytest.mark.parametrize(
    ("halt", "stopped"),
    [
        (make_halt(), {"T1", "T2"}),
        (make_halt(Reach.REPOSITORY, "R1"), {"T1"}),
        (make_halt(Reach.BLUEPRINT, "docs"), {"T2"}),
        (make_halt(Reach.TASK, "T1"), {"T1"}),
        (make_halt(Reach.HOST, "h1"), {"T1", "T2"}),
        (make_halt(Reach.HOST, "h2"), set()),
        (make_halt(Reach.TASK, "T11"), set()),
    ],
    ids=lambda value: value.key if isinstance(value, Halt) else "",
)
def test_a_halt_keeps_exactly_what_is_in_its_reach(halt: Halt, stopped: set[str]) -> None:
    found = plan([queued(1), queued(2, repository="R2", blueprint="docs")], halts=[halt])
    assert {"T1", "T2"} - {task for task, _ in placed(found)} == stopped
    assert {found.reasons[each].code for each in stopped} <= {ReasonCode.HALT}


def test_a_halted_host_is_passed_over_for_another() -> None:
    found = plan([queued(1)], [make_host("h1", 9), make_host("h2", 1)], halts=[make_halt(Reach.HOST, "h1")])
    assert placed(found) == [("T1", "h2")]


def test_a_halted_task_keeps_nobody_from_its_scope() -> None:
    tasks = [queued(1, "src", waited=RESERVE_AFTER), queued(2, "src")]
    assert placed(plan(tasks, halts=[make_halt(Reach.TASK, "T1")])) == [("T2", "h1")]
