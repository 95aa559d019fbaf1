"""What is killed comes back: no task is lost, none is done twice, and what was paid for is not paid again."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import psutil
import pytest

from orchestrator.courier import PREPARE, host_queue
from orchestrator.domain.task import Cause, Note, State
from orchestrator.store import Wake
from tests.helpers.fleet import alive
from tests.helpers.repositories import git, refs
from tests.helpers.waiting import eventually

if TYPE_CHECKING:
    from tests.e2e.conftest import MakeProject
    from tests.e2e.project import Project
    from tests.helpers.fleet import Fleet

pytestmark = pytest.mark.xdist_group("own")

_PLAN = "echo paid >> {outside}/paid; echo plan > plan.txt"


def _planned(make: MakeProject) -> Project:
    """A repository whose blueprint has two agent steps; the first one's work is a checkpoint."""
    project = make()
    steps = [
        {"name": "plan", "agent": {"name": "obey", "prompt": _PLAN.format(outside=project.outside)}},
        {"name": "edit", "agent": {"name": "obey", "prompt": "{{ task.body }}"}},
        {"name": "test", "run": "test -e plan.txt", "gate": True},
    ]
    project.commit(project.rules(blueprint={"steps": steps}))
    return project


def _works_until_told(project: Project) -> str:
    """An agent that works until it is told to go on; its number is the last line of the file `pid`."""
    return f"echo $$ >> {project.outside}/pid; echo x > a.txt; {project.until('go')}"


def _pid(project: Project, number: int = 1) -> int:
    lines = eventually(lambda: len(project.told("pid")) >= number and project.told("pid"), "an agent at work", 30)
    assert lines
    return int(lines[number - 1])


def _assert_landed_once(fleet: Fleet, project: Project, ident: str) -> None:
    project.landed(fleet.floor.store.task(ident))
    assert project.told("paid") == ["paid"]
    assert project.read("plan.txt") == "plan"
    assert [each.type for each in fleet.events(ident)].count(Cause.LANDED) == 1
    log = git(project.path, "log", "--format=%s", "main").splitlines()
    assert len([line for line in log if line.startswith(f"Merge {ident}")]) == 1


def test_a_killed_pool_process_costs_one_step(own_fleet: Fleet, own_project: MakeProject) -> None:
    project = _planned(own_project)
    task = project.submit(_works_until_told(project))
    agent = _pid(project)
    pool = {each.pid: each for each in own_fleet.host.pool()}
    ancestors = [each for each in psutil.Process(agent).parents() if each.pid in pool]
    assert len(ancestors) == 1
    ancestors[0].kill()
    eventually(lambda: not alive(agent), "the agent of the killed process is dead")
    project.tell("go")
    _assert_landed_once(own_fleet, project, task.id)


def test_a_killed_host_worker_takes_its_agents_with_it_and_its_tasks_land_after_its_restart(
    own_fleet: Fleet, own_project: MakeProject
) -> None:
    project = _planned(own_project)
    task = project.submit(_works_until_told(project))
    agent = _pid(project)
    own_fleet.host.kill()
    eventually(lambda: not alive(agent), "the agent of the killed host is dead")
    project.tell("go")
    own_fleet.mend()
    _assert_landed_once(own_fleet, project, task.id)


def test_a_task_of_a_host_that_never_comes_back_is_taken_from_it(own_fleet: Fleet, own_project: MakeProject) -> None:
    project = _planned(own_project)
    task = project.submit(_works_until_told(project))
    agent = _pid(project)
    own_fleet.host.kill()
    own_fleet.event(task, Cause.LEASE_EXPIRED)
    assert not alive(agent)
    assert own_fleet.floor.store.task(task.id).state is State.QUEUED
    eventually(lambda: not own_fleet.floor.store.hosts(), "the host is struck off", 30)
    project.tell("go")
    own_fleet.mend()
    _assert_landed_once(own_fleet, project, task.id)


def test_another_host_goes_on_from_the_checkpoint_of_a_lost_one(own_fleet: Fleet, own_project: MakeProject) -> None:
    project = _planned(own_project)
    task = project.submit(_works_until_told(project))
    _pid(project)
    own_fleet.host.kill()
    project.tell("go")
    other = own_fleet.another_host("bench-2")
    other.start()
    try:
        _assert_landed_once(own_fleet, project, task.id)
    finally:
        other.stop()
    runs = own_fleet.floor.store.task(task.id).steps
    assert [(run.name, run.host) for run in runs if run.state == "passed"] == [
        ("plan", own_fleet.HOST),
        ("edit", "bench-2"),
        ("test", "bench-2"),
    ]


def test_a_message_that_comes_twice_changes_nothing(own_fleet: Fleet, own_project: MakeProject) -> None:
    project = _planned(own_project)
    task = project.submit(_works_until_told(project))
    agent = _pid(project)
    fence = own_fleet.floor.store.task(task.id).fence or 0
    wake = Wake(PREPARE, (task.id, fence), host_queue(own_fleet.HOST))
    for _ in range(3):
        own_fleet.floor.courier.send(wake)
    done = f"Task shopfloor.prepare[{task.id}.f{fence}.r0.prepare] succeeded"
    eventually(lambda: own_fleet.host.log.count(done) == 3, "all three were taken and left alone", 30)
    assert alive(agent)
    project.tell("go")
    _assert_landed_once(own_fleet, project, task.id)
    assert len(project.told("pid")) == 1
    assert project.read("a.txt") == "x"


def test_a_host_that_shuts_down_gives_its_tasks_back_at_once(own_fleet: Fleet, own_project: MakeProject) -> None:
    project = _planned(own_project)
    task = project.submit(_works_until_told(project))
    agent = _pid(project)
    own_fleet.host.stop()
    assert not alive(agent)
    assert own_fleet.floor.store.task(task.id).state is State.QUEUED
    assert own_fleet.floor.store.hosts() == []
    given_back = own_fleet.event(task, Cause.HALTED)
    assert given_back.reason
    assert "is shutting down" in given_back.reason.text
    project.tell("go")
    own_fleet.mend()
    _assert_landed_once(own_fleet, project, task.id)


def test_a_killed_control_worker_delays_and_loses_nothing(own_fleet: Fleet, own_project: MakeProject) -> None:
    project = _planned(own_project)
    first = project.submit(_works_until_told(project))
    _pid(project)
    own_fleet.control.kill()
    second = project.submit("echo y > b.txt")
    project.tell("go")
    own_fleet.event(first, Cause.APPROVED)
    own_fleet.mend()
    project.landed(first)
    project.landed(second)
    assert project.read("b.txt") == "y"


def test_a_redis_that_is_killed_and_comes_back_loses_no_task(own_fleet: Fleet, own_project: MakeProject) -> None:
    project = _planned(own_project)
    task = project.submit(_works_until_told(project))
    _pid(project)
    own_fleet.server.kill()
    own_fleet.server.start()
    project.tell("go")
    _assert_landed_once(own_fleet, project, task.id)


def test_a_step_that_ends_while_redis_is_away_is_told_later_and_not_paid_again(
    own_fleet: Fleet, own_project: MakeProject
) -> None:
    project = _planned(own_project)
    task = project.submit(_works_until_told(project))
    agent = _pid(project)
    already = own_fleet.host.log.count("is cut off from the fleet")
    own_fleet.server.kill()
    project.tell("go")
    eventually(lambda: not alive(agent), "the agent has ended while nobody could be told", 30)
    eventually(lambda: own_fleet.host.log.count("is cut off from the fleet") > already, "the host notices", 30)
    own_fleet.server.start()
    _assert_landed_once(own_fleet, project, task.id)
    assert len(project.told("pid")) == 1


def test_agents_of_a_host_that_is_cut_off_die_before_anybody_else_gets_their_task(
    own_fleet: Fleet, own_project: MakeProject
) -> None:
    project = _planned(own_project)
    task = project.submit(_works_until_told(project))
    agent = _pid(project)
    own_fleet.server.kill()
    eventually(lambda: not alive(agent), "the agent of the host that is cut off is dead", 30)
    own_fleet.server.start()
    project.tell("go")
    _assert_landed_once(own_fleet, project, task.id)


def test_a_candidate_whose_host_is_killed_is_verified_again(own_fleet: Fleet, own_project: MakeProject) -> None:
    project = own_project()
    project.commit(project.rules(verify=f"echo $$ >> {project.outside}/pid; {project.until('go')}"))
    task = project.submit("echo x > a.txt")
    _pid(project)
    own_fleet.host.kill()
    project.tell("go")
    own_fleet.mend()
    project.landed(task)


def test_nothing_is_left_of_landed_tasks(own_fleet: Fleet, own_project: MakeProject) -> None:
    """A crash after a checkpoint, a merge that failed verification, a conflict: their refs and directories go too."""
    project = _planned(own_project)
    steps = json.loads(project.read(".shopfloor/blueprints/work.yaml"))["steps"]
    project.commit(project.rules(blueprint={"steps": steps}, verify="! grep -q bad *.txt") | {"c.txt": "one\n"})
    crashed = project.submit(_works_until_told(project), scope=("plan.txt", "a.txt"))
    agent = _pid(project)
    pool = {each.pid for each in own_fleet.host.pool()}
    next(each for each in psutil.Process(agent).parents() if each.pid in pool).kill()
    project.tell("go")
    project.landed(crashed)
    project.commit(project.rules(verify="! grep -q bad *.txt"))
    reworked = project.submit("[ -e b.txt ] && echo good > b.txt || echo bad > b.txt", scope=("b.txt",))
    conflicting = project.submit(f"echo two >> c.txt; {project.until('on')}", scope=("c.txt",))
    own_fleet.event(conflicting, Note.STEP_STARTED, step="edit")
    project.commit({"c.txt": "one\nby hand\n"})
    project.tell("on")
    assert project.landed(reworked).reworks == project.landed(conflicting).reworks == 1
    eventually(lambda: set(refs(project.path)) == {"refs/heads/main"}, f"only the target is left of {project.path}")
    assert project.status() == ""
    eventually(lambda: _left_on(own_fleet) == [], "nothing is left on the host")


def _left_on(fleet: Fleet) -> list[str]:
    """What attempts have on the host."""
    places = ("workspaces/trees", "workspaces/records", "workspaces/trash", "scratch", "attempts")
    found = [path for place in places for path in (fleet.state / place).glob("*")]
    worktrees = fleet.state.glob("mirrors/*.git/worktrees/*")
    return [str(path.relative_to(fleet.state)) for path in (*found, *worktrees)]
