"""The merge train: what lands is what was verified, whatever else happens to the target and to the user's checkout."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from orchestrator.domain.halt import Reach
from orchestrator.domain.task import Cause, Note, ReasonCode, State
from orchestrator.services.decide import approve, cancel
from orchestrator.services.explain import explain
from orchestrator.services.halt import halt, resume
from tests.helpers.fleet import alive
from tests.helpers.repositories import git, refs, tip
from tests.helpers.waiting import eventually

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.conftest import MakeProject
    from tests.helpers.fleet import Fleet

pytestmark = pytest.mark.xdist_group("fleet")


def _one_by_one(outside: object) -> str:
    """A shell command that waits, the first time, for a file `go-0`, the second time for `go-1`, and so on."""
    return (
        f"n=$(ls {outside} | grep -c ^came || true); touch {outside}/came-$n; "
        f"while [ ! -e {outside}/go-$n ]; do sleep 0.02; done"
    )


def test_a_conflict_with_the_moved_target_is_reworked_with_the_conflict_as_feedback(
    make_project: MakeProject, fleet: Fleet
) -> None:
    project = make_project(files={"a.txt": "one\n"})
    does = f"feedback >> {project.outside}/feedback; echo agent >> a.txt; touch {project.outside}/came"
    task = project.submit(f"{does}; {project.until('go')}")
    fleet.event(task, Note.STEP_STARTED, step="edit")
    by_hand = project.commit({"a.txt": "one\nby hand\n"})
    project.tell("go")
    landed = project.landed(task)
    assert project.read("a.txt") == "one\nby hand\nagent"
    assert landed.base == by_hand
    assert [each.type for each in fleet.events(task) if each.type == Cause.CONFLICTED] == [Cause.CONFLICTED]
    told = "\n".join(project.told("feedback"))
    assert "merge: " in told
    assert "a.txt" in told


def test_a_conflict_again_and_again_is_escalated(make_project: MakeProject, fleet: Fleet) -> None:
    project = make_project(policy={"reworks": 1}, files={"a.txt": "one\n"})
    task = project.submit(f"echo agent $(wc -l < a.txt) >> a.txt; {_one_by_one(project.outside)}")
    seq = 0
    for number in range(2):
        seq = fleet.event(task, Note.STEP_STARTED, step="edit", after=seq).seq
        project.commit({"a.txt": "one\n" + "by hand\n" * (number + 1)})
        project.tell(f"go-{number}")
    escalated = project.escalated(task)
    assert (escalated.reason and escalated.reason.code, escalated.reworks) == (ReasonCode.CONFLICT, 1)
    assert project.read("a.txt") == "one\nby hand\nby hand"


def test_a_target_that_moves_during_verification_means_verifying_again(make_project: MakeProject, fleet: Fleet) -> None:
    project = make_project()
    outside = project.outside
    by_train = f"git rev-parse HEAD >> {outside}/verified; {_one_by_one(outside)}"
    project.commit(project.rules(verify=by_train))
    task = project.submit("echo agent > a.txt")
    first = fleet.event(task, Note.VERIFY_STARTED)
    by_hand = project.commit({"b.txt": "by hand\n"})
    project.tell("go-0")
    fleet.event(task, Note.VERIFY_STARTED, after=first.seq)
    project.tell("go-1")
    landed = project.landed(task)
    verified = project.told("verified")
    assert len(verified) == 2
    assert landed.merged_as == verified[1] == project.tip()
    git(project.path, "merge-base", "--is-ancestor", by_hand, "main")
    assert any(each.type == Note.CONTENTION for each in fleet.events(task))


def test_a_merge_that_fails_verification_is_reworked_with_the_log(make_project: MakeProject) -> None:
    project = make_project(verify="[ $(cat count) = 2 ] || { echo the count is wrong; exit 7; }", files={"count": "2"})
    outside = project.outside
    count = f"[ -e {outside}/again ] && printf 2 > count || printf 3 > count"
    landed = project.land(f"feedback >> {outside}/feedback; echo x > a.txt; {count}; touch {outside}/again")
    assert landed.reworks == 1
    told = "\n".join(project.told("feedback"))
    assert "verify: " in told
    assert "the count is wrong" in told
    assert project.read("count") == "2"


def test_a_merge_that_never_passes_verification_is_escalated_and_the_target_stays(make_project: MakeProject) -> None:
    project = make_project(verify="! [ -e a.txt ]", policy={"reworks": 1})
    before = project.tip()
    task = project.escalated(project.submit("echo x >> a.txt"))
    assert task.reason
    assert task.reason.code is ReasonCode.VERIFY_FAILED
    assert project.tip() == before


def test_a_task_that_is_cancelled_during_verification_makes_room_for_the_next(
    make_project: MakeProject, fleet: Fleet
) -> None:
    project = make_project()
    pid = project.outside / "pid"
    project.commit(project.rules(verify=f"[ ! -e a.txt ] || {{ echo $$ > {pid}; exec sleep 600; }}"))
    task = project.submit("echo x > a.txt", scope=("a.txt",))
    verifying = int(eventually(lambda: project.told("pid"), "the verification runs", 30)[0])
    cancel(fleet.floor, task.id, who="ann")
    project.land("echo x > b.txt", scope=("b.txt",))
    eventually(lambda: not alive(verifying), "the verification of the cancelled task is dead")
    assert not (project.path / "a.txt").exists()


def test_a_halt_stops_verification_and_resume_takes_it_up_again(make_project: MakeProject, fleet: Fleet) -> None:
    project = make_project()
    outside = project.outside
    project.commit(project.rules(verify=f"echo $$ >> {outside}/pid; [ -e {outside}/go ] || exec sleep 600"))
    task = project.submit("echo x > a.txt")
    verifying = int(eventually(lambda: project.told("pid"), "the verification runs", 30)[0])
    placed = halt(fleet.floor, Reach.REPOSITORY, project.repository.id, why="look into it", who="ann")
    eventually(lambda: not alive(verifying), "the verification is dead")
    project.tell("go")
    resume(fleet.floor, [placed.key], who="ann")
    project.landed(task)
    assert len(project.told("pid")) == 2


def test_rules_that_cannot_be_read_hold_the_train_up_until_they_are_mended(
    make_project: MakeProject, fleet: Fleet
) -> None:
    project = make_project(blueprint={"review": {"tier": "human"}})
    task = fleet.wait(project.submit("echo x > a.txt"), State.REVIEW)
    mended = project.read(".shopfloor/repo.yaml")
    project.commit({".shopfloor/repo.yaml": "version: [\n"})
    approve(fleet.floor, task.id, who="ann")
    eventually(lambda: "repo.yaml" in explain(fleet.floor, task.id).reason.text, "the reason is told", 30)
    project.commit({".shopfloor/repo.yaml": mended})
    project.landed(task)


def test_many_changes_land_one_by_one_each_on_what_was_verified(make_project: MakeProject) -> None:
    project = make_project()
    project.commit(project.rules(verify=f"git rev-parse HEAD >> {project.outside}/verified"))
    tasks = [project.submit(f"echo {number} > f{number}", scope=(f"f{number}",)) for number in range(12)]
    landed = [project.landed(task) for task in tasks]
    assert {str(task.merged_as) for task in landed} <= set(project.told("verified"))
    assert [project.read(f"f{number}") for number in range(12)] == [str(number) for number in range(12)]
    assert project.status() == ""


def test_changes_land_in_a_bare_repository(make_project: MakeProject, tmp_path: Path) -> None:
    project = make_project()
    bare = tmp_path / "bare.git"
    git(tmp_path, "clone", "--quiet", "--bare", str(project.path), str(bare))
    project.repository = project.repository.model_copy(update={"url": f"file://{bare}", "id": "bare"})
    project.fleet.floor.store.add_repository(project.repository)
    task = project.land("echo x > a.txt")
    assert tip(bare) == task.merged_as
    eventually(lambda: set(refs(bare)) == {"refs/heads/main"}, "only the target is left")


def test_landing_waits_for_a_dirty_checkout_and_says_why(make_project: MakeProject, fleet: Fleet) -> None:
    project = make_project(files={"mine.txt": "one\n"})
    (project.path / "mine.txt").write_text("not committed\n")
    before = project.tip()
    task = project.submit("echo x > a.txt")
    fleet.event(task, Note.LANDING_BLOCKED)
    said = explain(fleet.floor, task.id).reason
    assert said.code is ReasonCode.LANDING_BLOCKED
    assert "mine.txt" in said.text
    assert project.tip() == before
    assert (project.path / "mine.txt").read_text() == "not committed\n"
    project.commit({"mine.txt": "committed\n"})
    project.landed(task)
    assert project.status() == ""
    assert (project.path / "a.txt").read_text() == "x\n"


def test_an_untracked_file_in_the_way_is_never_overwritten(make_project: MakeProject, fleet: Fleet) -> None:
    project = make_project()
    (project.path / "a.txt").write_text("precious\n")
    task = project.submit("echo x > a.txt")
    fleet.event(task, Note.LANDING_BLOCKED)
    assert (project.path / "a.txt").read_text() == "precious\n"
    (project.path / "a.txt").rename(project.path / "kept.txt")
    project.landed(task)
    assert (project.path / "a.txt").read_text() == "x\n"
    assert (project.path / "kept.txt").read_text() == "precious\n"
