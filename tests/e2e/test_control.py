"""What a person can do to tasks under way: cancel, retry, halt, resume."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from orchestrator.domain.halt import Reach
from orchestrator.domain.task import Cause, Note, ReasonCode, State
from orchestrator.services.decide import cancel, retry
from orchestrator.services.explain import explain
from orchestrator.services.halt import halt, resume
from tests.helpers.fleet import alive
from tests.helpers.waiting import eventually

if TYPE_CHECKING:
    from tests.e2e.conftest import MakeProject
    from tests.e2e.project import Project
    from tests.helpers.fleet import Fleet

pytestmark = pytest.mark.xdist_group("fleet")


def _endless(project: Project) -> str:
    return f"echo x > a.txt; echo $$ > {project.outside}/pid; exec sleep 600"


def _pid(project: Project) -> int:
    return int(eventually(lambda: project.told("pid"), "the agent's number", 30)[0])


def test_cancel_kills_the_agent_and_frees_the_scope(make_project: MakeProject, fleet: Fleet) -> None:
    project = make_project()
    task = project.submit(_endless(project))
    behind = project.submit("echo y > b.txt")
    pid = _pid(project)
    cancel(fleet.floor, task.id, who="ann")
    eventually(lambda: not alive(pid), "the agent of the cancelled task is dead")
    project.landed(behind)
    assert fleet.floor.store.task(task.id).state is State.CANCELLED
    eventually(lambda: project.branches() == ["main"], "only the landed branch of the other task was ever pushed")


def test_retry_goes_on_at_the_failed_gate_and_does_not_pay_the_agent_again(
    make_project: MakeProject, fleet: Fleet
) -> None:
    project = make_project(blueprint={"rounds": 1})
    project.commit(project.rules(gate=f"[ -e {project.outside}/mended ]", blueprint={"rounds": 1}))
    task = project.escalated(project.submit(f"echo paid >> {project.outside}/paid; echo x > a.txt"))
    project.tell("mended")
    retry(fleet.floor, task.id, who="ann")
    landed = project.landed(task)
    assert project.told("paid") == ["paid"]
    assert [run.name for run in landed.steps] == ["edit", "test", "test"]


def test_a_halt_kills_agents_and_places_nothing_until_it_is_lifted(make_project: MakeProject, fleet: Fleet) -> None:
    project = make_project()
    steps = [
        {"name": "first", "agent": {"name": "obey", "prompt": f"echo 1 >> {project.outside}/first; echo 1 > a.txt"}},
        {
            "name": "second",
            "agent": {
                "name": "obey",
                "prompt": f"echo 2 >> a.txt; echo $$ >> {project.outside}/pid; "
                f"[ -e {project.outside}/go ] || exec sleep 600",
            },
        },
    ]
    project.commit(project.rules(blueprint={"steps": steps}))
    task = project.submit("", scope=("a.txt",))
    pid = _pid(project)
    halt(fleet.floor, Reach.FLEET, "", why="too hot", who="ann")
    try:
        fleet.wait(task, State.QUEUED)
        assert not alive(pid)
        other = project.submit("", scope=("b.txt",))
        for each in (task, other):
            said = explain(fleet.floor, each.id).reason
            assert said.code is ReasonCode.HALT
            assert "too hot" in said.text
        assert fleet.floor.store.task(other.id).state is State.QUEUED
        assert not fleet.floor.store.busy().get(fleet.HOST)
    finally:
        project.tell("go")
        cancel(fleet.floor, other.id, who="ann")
        resume(fleet.floor, [], who="ann")
    project.landed(task)
    assert project.told("first") == ["1"]
    assert project.read("a.txt") == "1\n2"
    types = [each.type for each in fleet.events(task)]
    assert types.count(Cause.HALTED) == 1


@pytest.mark.parametrize("reach", [Reach.TASK, Reach.BLUEPRINT, Reach.REPOSITORY])
def test_a_narrowed_halt_stops_only_what_it_names(make_project: MakeProject, fleet: Fleet, reach: Reach) -> None:
    named, other = make_project(), make_project()
    blueprint = f"work-{named.repository.id}"
    named.commit(named.rules(blueprint={"name": blueprint}, policy={"defaults": {"blueprint": blueprint}}))
    task = named.submit(f"echo x > a.txt; touch {named.outside}/begun; {named.until('go')}")
    goes_on = other.submit(f"echo x > a.txt; {other.until('go')}")
    fleet.event(goes_on, Note.STEP_STARTED)
    eventually((named.outside / "begun").exists, "the agent works", 30)
    name = {Reach.TASK: task.id, Reach.BLUEPRINT: blueprint, Reach.REPOSITORY: named.repository.id}[reach]
    placed = halt(fleet.floor, reach, name, why="look into it", who="ann")
    try:
        fleet.wait(task, State.QUEUED)
        assert explain(fleet.floor, task.id).reason.code is ReasonCode.HALT
        other.tell("go")
        assert other.landed(goes_on).attempt == 1
    finally:
        named.tell("go")
        resume(fleet.floor, [placed.key], who="ann")
    named.landed(task)


def test_a_halt_between_two_steps_gives_the_task_back_at_once(make_project: MakeProject, fleet: Fleet) -> None:
    """The revoked message of the next step never comes; nobody waits for it."""
    project = make_project()
    steps = [{"name": f"s{number}", "agent": {"name": "obey", "prompt": f"echo x > {number}"}} for number in range(30)]
    project.commit(project.rules(blueprint={"steps": steps}))
    task = project.submit("")
    for number in (3, 9, 15):
        fleet.event(task, Note.STEP_ENDED, step=f"s{number}")
        placed = halt(fleet.floor, Reach.TASK, task.id, why="look into it", who="ann")
        fleet.wait(task, State.QUEUED, seconds=15)
        resume(fleet.floor, [placed.key], who="ann")
    landed = project.landed(task)
    passed = [run.name for run in landed.steps if run.state == "passed"]
    assert passed == [step["name"] for step in steps]
