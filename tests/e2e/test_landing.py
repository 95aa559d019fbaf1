"""From a submitted task to a landed change: rounds, scopes, dependencies."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from orchestrator.domain.task import Note, ReasonCode, State
from orchestrator.services.decide import cancel
from tests.helpers.repositories import git

if TYPE_CHECKING:
    from tests.e2e.conftest import MakeProject
    from tests.e2e.project import Project
    from tests.helpers.fleet import Fleet

pytestmark = pytest.mark.xdist_group("fleet")

_NO_BAD = "! grep -rl bad --include='*.txt' ."


def test_a_task_lands_and_the_checkout_follows(make_project: MakeProject) -> None:
    project = make_project()
    task = project.land("echo hello > hello.txt", scope=("hello.txt",))
    assert project.tip() == task.merged_as
    assert (project.path / "hello.txt").read_text() == "hello\n"
    assert project.status() == ""
    assert [(run.name, run.state) for run in task.steps] == [("edit", "passed"), ("test", "passed")]
    assert task.change is not None
    assert task.change.state == "merged"


def test_a_failed_gate_tells_the_agent_its_log_and_the_second_round_passes(make_project: MakeProject) -> None:
    project = make_project(gate=f"{_NO_BAD} || {{ echo the word bad is forbidden; exit 3; }}")
    does = f"feedback >> {project.outside}/feedback; [ -e a.txt ] && echo good > a.txt || echo bad > a.txt"
    task = project.land(does)
    assert task.round == 2
    assert project.read("a.txt") == "good"
    told = "\n".join(project.told("feedback"))
    assert told.strip().startswith("test: ")
    assert "the word bad is forbidden" in told
    assert [run.exit_code for run in task.steps] == [0, 3, 0, 0]


def test_a_task_that_never_passes_is_escalated_with_rounds_exhausted(make_project: MakeProject) -> None:
    project = make_project(gate="false")
    task = project.escalated(project.submit("echo x >> a.txt"))
    assert (task.reason and task.reason.code, task.round) == (ReasonCode.ROUNDS_EXHAUSTED, 3)
    assert [run.name for run in task.steps] == ["edit", "test"] * 3
    assert project.branches() == ["main"]


def test_an_agent_that_changes_nothing_between_failed_rounds_is_stopped_early(make_project: MakeProject) -> None:
    project = make_project(gate="false")
    task = project.escalated(project.submit("echo x > a.txt"))
    assert (task.reason and task.reason.code, task.round) == (ReasonCode.NO_PROGRESS, 2)


def test_an_agent_that_changes_nothing_at_all_is_escalated(make_project: MakeProject) -> None:
    project = make_project()
    task = project.escalated(project.submit("true"))
    assert task.reason
    assert task.reason.code is ReasonCode.NO_CHANGES


def _spans(project: Project, name: str) -> tuple[int, int]:
    begun, ended = (int(line.split()[1]) for line in project.told(name))
    return begun, ended


def _working(project: Project, name: str, file: str) -> str:
    log = project.outside / name
    return f'echo "begin $(date +%s%N)" >> {log}; echo {name} >> {file}; sleep 0.3; echo "end $(date +%s%N)" >> {log}'


def test_tasks_whose_scopes_meet_never_run_at_once(make_project: MakeProject) -> None:
    project = make_project()
    names = [f"t{number}" for number in range(3)]
    scopes = [("src/**",), ("src/a.txt", "docs/x.txt"), ("src/*.txt",)]
    tasks = [
        project.submit(f"mkdir -p src; {_working(project, name, 'src/a.txt')}", scope=scope)
        for name, scope in zip(names, scopes, strict=True)
    ]
    for task in tasks:
        project.landed(task)
    spans = sorted(_spans(project, name) for name in names)
    assert all(earlier[1] < later[0] for earlier, later in pairwise(spans))
    assert sorted(project.read("src/a.txt").split()) == names


def test_independent_tasks_run_at_once(make_project: MakeProject) -> None:
    project = make_project()
    meet = f"touch {project.outside}/$NAME; {project.until('left')}; {project.until('right')}; echo x > $NAME.txt"
    tasks = [project.submit(f"NAME={name}; {meet}", scope=(f"{name}.txt",)) for name in ("left", "right")]
    for task in tasks:
        project.landed(task)
    assert project.read("left.txt") == project.read("right.txt") == "x"


def test_a_task_waits_until_its_dependency_has_landed_and_works_on_its_commit(make_project: MakeProject) -> None:
    project = make_project()
    first = project.submit("echo first > first.txt", scope=("first.txt",))
    second = project.submit("cp first.txt second.txt", scope=("second.txt",), depends_on=(first.id,))
    assert second.state is State.WAITING
    landed = project.landed(second)
    before = project.landed(first)
    git(project.path, "merge-base", "--is-ancestor", str(before.merged_as), str(landed.base))
    assert project.read("second.txt") == "first"


def test_a_task_whose_dependency_is_cancelled_is_a_persons(make_project: MakeProject, fleet: Fleet) -> None:
    project = make_project()
    first = project.submit("sleep 600")
    second = project.submit("echo x > a.txt", depends_on=(first.id,))
    cancel(fleet.floor, first.id, who="ann")
    escalated = project.escalated(second)
    assert escalated.reason
    assert escalated.reason.code is ReasonCode.DEPENDENCY_CANCELLED


def test_a_second_agent_that_has_nothing_to_add_in_a_later_round_is_no_lack_of_progress(
    make_project: MakeProject,
) -> None:
    steps = [
        {"name": "edit", "agent": {"name": "obey", "prompt": "{{ task.body }}"}},
        {"name": "document", "agent": {"name": "obey", "prompt": "echo documented > doc.md"}},
        {"name": "test", "run": _NO_BAD, "gate": True, "on_fail": "edit"},
    ]
    project = make_project(blueprint={"steps": steps})
    task = project.land("[ -e a.txt ] && echo good > a.txt || echo bad > a.txt")
    assert task.round == 2


def test_the_log_of_a_step_is_streamed_while_it_runs(make_project: MakeProject, fleet: Fleet) -> None:
    project = make_project()
    task = project.submit(f"echo begun; {project.until('go')}; echo x > a.txt")
    fleet.event(task, Note.STEP_STARTED, step="edit")
    chunks = fleet.floor.store.log(task.id, wait=30)
    assert b"begun" in chunks[0].text
    project.tell("go")
    project.landed(task)
