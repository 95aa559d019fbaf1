"""Who must accept a change, and whose rules hold."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from orchestrator.domain.task import ReasonCode, State
from orchestrator.services.decide import approve, reject
from tests.helpers.repositories import git
from tests.helpers.waiting import eventually

if TYPE_CHECKING:
    from tests.e2e.conftest import MakeProject
    from tests.helpers.fleet import Fleet

pytestmark = pytest.mark.xdist_group("fleet")

_BY_HUMAN = {"review": {"tier": "human"}}


def test_a_change_of_tier_human_waits_for_approve(make_project: MakeProject, fleet: Fleet) -> None:
    project = make_project(blueprint=_BY_HUMAN)
    before = project.tip()
    task = fleet.wait(project.submit("echo x > a.txt"), State.REVIEW)
    assert task.reason
    assert task.reason.code is ReasonCode.AWAITING_APPROVAL
    assert project.tip() == before
    assert project.read("a.txt", str(task.branch)) == "x"
    approve(fleet.floor, task.id, who="ann")
    project.landed(task)
    assert project.read("a.txt") == "x"
    eventually(lambda: project.branches() == ["main"], "the branch of the landed change is gone")


def test_a_rejected_change_is_reworked_with_the_reviewers_words(make_project: MakeProject, fleet: Fleet) -> None:
    project = make_project(blueprint=_BY_HUMAN)
    does = f"feedback >> {project.outside}/feedback; echo x >> a.txt"
    task = fleet.wait(project.submit(does), State.REVIEW)
    reject(fleet.floor, task.id, "say it twice", who="bob")
    fleet.wait(task, State.RUNNING)
    again = fleet.wait(task, State.REVIEW)
    assert again.round == 2
    assert "review: say it twice" in "\n".join(project.told("feedback"))
    approve(fleet.floor, task.id, who="ann")
    project.landed(task)
    assert project.read("a.txt") == "x\nx"


def test_a_change_of_the_fleets_own_rules_waits_for_a_person(make_project: MakeProject, fleet: Fleet) -> None:
    project = make_project()
    task = fleet.wait(project.submit("echo '# more' >> .shopfloor/agents/obey.sh"), State.REVIEW)
    assert task.change
    assert task.change.tier == "human"


def test_the_rules_are_the_targets_and_never_those_of_an_agents_tree(make_project: MakeProject) -> None:
    project = make_project(gate="! [ -e bad.txt ]", verify="! [ -e bad.txt ]")
    rules = project.rules(gate="true", verify="true")
    files = " && ".join(f"printf %s '{text}' > {name}" for name, text in rules.items())
    forge = "printf '#!/bin/sh\\ntrue\\n' > .shopfloor/agents/obey.sh"
    task = project.escalated(project.submit(f"{files} && {forge} && date +%N > a.txt && echo x > bad.txt"))
    assert task.reason
    assert task.reason.code is ReasonCode.ROUNDS_EXHAUSTED


def test_a_title_is_data_wherever_it_goes(make_project: MakeProject, fleet: Fleet) -> None:
    title = "$(touch pwned) `touch pwned` '\"; touch pwned; # {{ 7*7 }} {% raw %} \\n 🦊 --help"
    prompt = {"name": "obey", "prompt": "cat > got.txt <<'END'\n{{ task.title }}\nEND\n"}
    steps = [{"name": "edit", "agent": prompt}, {"name": "test", "run": "true", "gate": True}]
    project = make_project(blueprint={"steps": steps})
    task = project.land("", title=title)
    assert task.title == title
    assert project.read("got.txt") == title
    assert not list(project.path.rglob("pwned"))
    assert not list(fleet.state.rglob("pwned"))
    assert title in git(project.path, "log", "--format=%B", "main")
