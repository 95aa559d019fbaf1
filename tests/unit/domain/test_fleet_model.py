"""Placement, held against brute force over small fleets."""

from __future__ import annotations

from datetime import timedelta
from fnmatch import fnmatchcase
from itertools import combinations

from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.domain.fleet import Holding, Host, Snapshot, choose, rank
from orchestrator.domain.halt import Halt, Reach
from orchestrator.domain.scope import Scope
from orchestrator.domain.task import ReasonCode, Task
from tests.helpers.tasks import NOW, make_halt, make_host, make_task

PATHS = ("a/x.py", "a/y.md", "b/x.py", "b/y.md", "b/c/x.py", "b/c/y.md", "top.md", "top.md/x.py")
"""One for each two patterns below that share a path."""

SCOPES = {"a": "a/*", "b": "b/*", "b/c": "b/c/*", "top.md": "top.md*", "**": "*", "**/*.py": "*.py", "**/*.md": "*.md"}
"""Patterns of a scope, each with a shell pattern that covers the same of the paths above (whose `*` crosses `/`)."""

SCOPE = st.lists(st.sampled_from(sorted(SCOPES)), min_size=1, max_size=2).map(tuple)
NEEDS = st.lists(st.sampled_from(["gpu", "arm"]), unique=True, max_size=2).map(tuple)


def paths(scope: tuple[str, ...]) -> set[str]:
    """What a scope covers, without the code under test."""
    return {path for path in PATHS for pattern in scope if fnmatchcase(path, SCOPES[pattern])}


@st.composite
def snapshots(draw: st.DrawFn) -> Snapshot:
    waits = st.sampled_from([0, 5, 11, 40, 200])
    tasks = [
        make_task(
            id=f"T{number}",
            scope=draw(SCOPE),
            needs=draw(NEEDS),
            repository=draw(st.sampled_from(["R1", "R1", "R2"])),
            priority=draw(st.integers(0, 4)),
            queued_at=NOW - timedelta(minutes=draw(waits)),
        )
        for number in range(draw(st.integers(0, 7)))
    ]
    holdings = [Holding(f"H{number}", "R1", Scope.of(draw(SCOPE))) for number in range(draw(st.integers(0, 2)))]
    hosts = [
        make_host(f"h{number}", draw(st.integers(1, 3)), capabilities=draw(NEEDS))
        for number in range(draw(st.integers(0, 3)))
    ]
    busy = {host.name: draw(st.integers(0, 2)) for host in hosts}
    halts = draw(
        st.lists(
            st.sampled_from([make_halt(Reach.HOST, "h0"), make_halt(Reach.TASK, "T1"), make_halt(Reach.FLEET)]),
            max_size=1,
        )
    )
    return Snapshot(tasks, holdings, hosts, busy, halts, NOW)


def meets(left: Holding | Task, right: Holding | Task) -> bool:
    return left.repository == right.repository and bool(paths(patterns(left)) & paths(patterns(right)))


def patterns(each: Holding | Task) -> tuple[str, ...]:
    return each.scope.patterns if isinstance(each, Holding) else each.scope


def can(task: Task, host: Host, halts: list[Halt]) -> bool:
    return set(task.needs) <= set(host.capabilities) and not any(halt.stops(task, host.name) for halt in halts)


@settings(max_examples=200, deadline=None)
@given(snapshots())
def test_placements_never_meet_never_exceed_the_slots_and_never_go_where_they_may_not(snapshot: Snapshot) -> None:
    plan = choose(snapshot)
    tasks = [task for task, _ in plan.placements]
    assert not any(meets(left, right) for left, right in combinations(tasks, 2))
    assert not any(meets(task, holding) for task in tasks for holding in snapshot.holdings)
    assert all(can(task, host, list(snapshot.halts)) for task, host in plan.placements)
    for host in snapshot.hosts:
        given_to = sum(each == host for _, each in plan.placements)
        assert given_to <= max(0, host.slots - snapshot.busy[host.name])
    assert [rank(task, NOW) for task in tasks] == sorted(rank(task, NOW) for task in tasks)
    assert set(plan.reasons) == {task.id for task in snapshot.queued}


@settings(max_examples=200, deadline=None)
@given(snapshots())
def test_a_task_is_left_only_for_a_cause_that_holds(snapshot: Snapshot) -> None:
    plan = choose(snapshot)
    tasks = [task for task, _ in plan.placements]
    halts = list(snapshot.halts)
    for task in snapshot.queued:
        if task in tasks:
            continue
        able = [host for host in snapshot.hosts if can(task, host, halts)]
        taken = {
            host.name: snapshot.busy[host.name] + sum(each == host for _, each in plan.placements) for host in able
        }
        reason = plan.reasons[task.id]
        match reason.code:
            case ReasonCode.SCOPE_BUSY:
                names = {held.task for held in snapshot.holdings if meets(held, task)}
                names |= {other.id for other in tasks if meets(other, task)}
                assert any(reason.text.endswith(f"held by {name}.") for name in names)
            case ReasonCode.SCOPE_RESERVED:
                others = {other.id for other in snapshot.queued if other not in tasks and meets(other, task)}
                assert any(reason.text.endswith(f"by {name}.") for name in others)
            case ReasonCode.NO_SLOT:
                assert able
                assert all(taken[host.name] >= host.slots for host in able)
            case ReasonCode.NO_HOST | ReasonCode.NO_CAPABILITY | ReasonCode.HALT:
                assert not able or any(halt.reach is not Reach.HOST and halt.stops(task, None) for halt in halts)
            case other:
                raise AssertionError(other)
