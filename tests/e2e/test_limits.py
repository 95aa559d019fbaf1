"""What agents may not do, use up or leave behind."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from orchestrator.domain.task import Note, ReasonCode, State
from tests.helpers.fleet import alive
from tests.helpers.repositories import git, refs, tip
from tests.helpers.waiting import eventually

if TYPE_CHECKING:
    from tests.e2e.conftest import MakeProject
    from tests.e2e.project import Project
    from tests.helpers.fleet import Fleet

pytestmark = pytest.mark.xdist_group("fleet")

_SPEND = 'echo \'{"input_tokens": %d, "output_tokens": 20}\' >> "$SHOPFLOOR_USAGE"'


def _daemon(project: Project) -> str:
    """A shell command that leaves a process behind in a session of its own, and tells its number."""
    return f"setsid sh -c 'echo $$ > {project.outside}/pid; exec sleep 600' < /dev/null > /dev/null 2>&1 &"


def _pid(project: Project) -> int:
    return int(eventually(lambda: project.told("pid"), "the daemon's number")[0])


def test_a_diff_outside_the_scope_is_refused_and_nothing_is_pushed(make_project: MakeProject) -> None:
    project = make_project()
    task = project.escalated(project.submit("mkdir -p src; echo x > src/a.txt; echo x > README.md", scope=("src/**",)))
    assert task.reason
    assert task.reason.code is ReasonCode.SCOPE_VIOLATION
    assert "README.md" in task.reason.text
    assert project.branches() == ["main"]


def test_a_diff_that_is_too_large_is_refused_and_nothing_is_pushed(make_project: MakeProject) -> None:
    project = make_project(blueprint={"limits": {"diff_lines": 10}})
    task = project.escalated(project.submit("seq 11 > a.txt"))
    assert task.reason
    assert task.reason.code is ReasonCode.DIFF_TOO_LARGE
    assert project.branches() == ["main"]


def test_an_agent_over_its_steps_time_is_killed_with_all_that_it_started(make_project: MakeProject) -> None:
    agent = {"name": "obey", "prompt": "{{ task.body }}"}
    project = make_project(blueprint={"steps": [{"name": "edit", "agent": agent, "minutes": 0.01}]})
    task = project.escalated(project.submit(f"{_daemon(project)} {_daemon(project)} sleep 600"))
    assert task.reason
    assert task.reason.code is ReasonCode.STEP_TIMEOUT
    assert not alive(_pid(project))


def test_a_gate_that_hangs_is_killed(make_project: MakeProject) -> None:
    steps = [
        {"name": "edit", "agent": {"name": "obey", "prompt": "{{ task.body }}"}},
        {"name": "test", "run": "sleep 600", "gate": True, "minutes": 0.01},
    ]
    task = make_project(blueprint={"steps": steps})
    escalated = task.escalated(task.submit("echo x > a.txt"))
    assert escalated.reason
    assert escalated.reason.code is ReasonCode.STEP_TIMEOUT


def test_what_a_gate_writes_changes_or_commits_does_not_land(make_project: MakeProject) -> None:
    meddle = "echo junk > junk.txt; echo changed >> README.md; git add -A; "
    project = make_project(gate=f"{meddle} git -c user.name=g -c user.email=g@localhost commit -qm gate")
    landed = project.land("echo x > a.txt")
    names = git(project.path, "diff-tree", "-r", "--name-only", "--no-commit-id", f"{landed.merged_as}^1", "main")
    assert names.split() == ["a.txt"]


def test_a_verify_command_that_hangs_is_killed_and_nothing_lands(make_project: MakeProject) -> None:
    project = make_project(verify="sleep 600", policy={"verify_minutes": 0.01, "reworks": 0})
    before = tip(project.path)
    task = project.escalated(project.submit("echo x > a.txt"))
    assert task.reason
    assert task.reason.code is ReasonCode.VERIFY_FAILED
    assert tip(project.path) == before


def test_a_task_over_its_time_in_all_is_killed(make_project: MakeProject) -> None:
    project = make_project()
    task = project.escalated(project.submit("sleep 600", minutes=0.01))
    assert task.reason
    assert task.reason.code is ReasonCode.TIME_EXCEEDED


def test_an_agent_over_its_token_budget_is_killed(make_project: MakeProject) -> None:
    project = make_project()
    task = project.escalated(project.submit(f"{_daemon(project)} {_SPEND % 2000}; sleep 600", tokens=1000))
    assert task.reason
    assert (task.reason.code, task.tokens.spent) == (ReasonCode.BUDGET_EXCEEDED, 2020)
    assert not alive(_pid(project))


def test_reported_tokens_are_counted(make_project: MakeProject) -> None:
    task = make_project().land(f"{_SPEND % 100}; {_SPEND % 200}; echo x > a.txt")
    assert task.tokens.spent == 340


def test_an_agent_that_does_not_exist_is_named(make_project: MakeProject) -> None:
    agent = {"name": "missing", "prompt": "{{ task.body }}"}
    project = make_project(blueprint={"steps": [{"name": "edit", "agent": agent}]})
    task = project.escalated(project.submit("true"))
    assert task.reason
    assert task.reason.code is ReasonCode.AGENT_MISSING
    assert ".shopfloor/agents/missing.sh" in task.reason.text


def test_an_agent_that_fails_twice_without_a_change_is_escalated(make_project: MakeProject, fleet: Fleet) -> None:
    project = make_project()
    task = project.escalated(project.submit("echo cannot do that; exit 1"))
    assert task.reason
    assert (task.reason.code, task.round) == (ReasonCode.AGENT_FAILED, 2)
    assert "cannot do that" in fleet.log(task, "edit")


def test_an_agent_that_prints_without_end_lands_and_its_log_is_bounded(make_project: MakeProject, fleet: Fleet) -> None:
    project = make_project()
    task = project.land("yes | head -c 50000000; echo the end; echo x > a.txt")
    log = fleet.log(task, "edit")
    assert len(log) < 1_000_000
    assert "bytes are left out here" in log
    assert log.endswith("the end\n")


def test_what_an_agent_leaves_running_is_dead_after_its_step(make_project: MakeProject, fleet: Fleet) -> None:
    project = make_project(gate="while [ ! -e go ] && [ ! -e ../go ]; do break; done; [ -e a.txt ]")
    task = project.submit(
        f"{_daemon(project)} while [ ! -s {project.outside}/pid ]; do sleep 0.01; done; echo x > a.txt"
    )
    fleet.event(task, Note.STEP_ENDED, step="edit")
    assert not alive(_pid(project))
    project.landed(task)


def test_an_agent_has_no_way_to_push_and_knows_no_url(make_project: MakeProject) -> None:
    project = make_project()
    before = refs(project.path)
    tries = (
        f"{{ git remote -v; git config --get-regexp '^(remote|url)'; env; cat .git; }} > {project.outside}/seen;"
        f"git push origin HEAD:main > /dev/null 2>&1 && touch {project.outside}/pushed;"
        f"git push {project.path} HEAD:refs/heads/evil > /dev/null 2>&1 && touch {project.outside}/pushed;"
        f"git commit -qam evil --author 'E <e@example.invalid>' > /dev/null 2>&1 || true; echo x > a.txt"
    )
    task = project.escalated(project.submit(f"set +e; {tries}; exit 1"))
    assert task.reason
    assert task.reason.code is ReasonCode.AGENT_FAILED
    seen = "\n".join(project.told("seen"))
    assert seen
    assert str(project.path) not in seen
    assert not project.told("pushed")
    assert not (project.outside / "pushed").exists()
    assert {name for name in refs(project.path) if "evil" in name} == set()
    assert refs(project.path)["refs/heads/main"] == before["refs/heads/main"]


def test_an_agent_sees_nothing_of_the_workers_environment(make_project: MakeProject, fleet: Fleet) -> None:
    project = make_project()
    project.land(f"env | sort > {project.outside}/env; echo x > a.txt")
    names = {line.partition("=")[0] for line in project.told("env")}
    assert "SHOPFLOOR_TASK" in names
    assert not names & {"SHOPFLOOR_REDIS_URL", "SHOPFLOOR_STATE", "SENTRY_DSN", "PYTHONPATH"}
    assert fleet.server.password not in "\n".join(project.told("env"))


@pytest.mark.parametrize(
    "mess",
    [
        "rm -rf .git",
        "rm .git; git init -q .; git add -A; git -c user.name=e -c user.email=e@e commit -qm evil",
        "git checkout -q -b other; git -c user.name=e -c user.email=e@e commit -q --allow-empty -m evil",
        "mkfifo pipe",
        "ln -s /etc/passwd link",
        "git worktree lock . 2> /dev/null || true; git stash -q 2> /dev/null || true",
        "printf '#!/bin/sh\\nexit 1\\n' > .git-hook; git config core.hooksPath .",
        "chmod -R a-w .",
        "touch \"$(printf 'line\\nbreak')\"",
    ],
)
def test_what_an_agent_does_to_its_workspace_does_not_keep_its_work_from_landing(
    make_project: MakeProject, mess: str
) -> None:
    project = make_project(files={"kept.txt": "kept\n"})
    project.land(f"echo x > a.txt; {mess}")
    assert project.read("a.txt") == "x"
    assert project.read("kept.txt") == "kept"


def test_a_repository_within_the_workspace_is_a_persons(make_project: MakeProject) -> None:
    project = make_project()
    inner = (
        "git init -q sub; echo x > sub/f; git -C sub add -A; git -C sub -c user.name=e -c user.email=e@e commit -qm e"
    )
    task = project.escalated(project.submit(inner))
    assert task.reason
    assert task.reason.code is ReasonCode.POLICY
    assert "sub" in task.reason.text


def test_what_an_agent_configures_in_its_workspace_is_never_run_by_the_worker(
    make_project: MakeProject, fleet: Fleet
) -> None:
    project = make_project(files={"kept.txt": "kept\n"})
    evil = f"env > {project.outside}/pwned"
    keys = ("core.fsmonitor", "filter.evil.clean", "filter.evil.smudge", "core.sshCommand", "core.pager")
    configure = "; ".join(f"git config {key} '{evil}' || true" for key in keys)
    task = project.submit(f"{configure}; echo '* filter=evil' > .gitattributes; echo x > a.txt; echo y > kept.txt")
    fleet.wait(task, State.MERGED)
    assert "SHOPFLOOR_REDIS_URL" not in "\n".join(project.told("pwned"))
    assert not (project.outside / "pwned").exists()
