"""The train when something goes wrong: a crash at any place, two at once, a halt, and somebody in the way."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from orchestrator.domain.halt import Reach
from orchestrator.domain.task import ReasonCode, State
from orchestrator.domain.train import Verdict
from orchestrator.errors import GitError, TransitionError
from orchestrator.services.decide import cancel
from orchestrator.services.explain import explain
from orchestrator.services.halt import halt, resume
from orchestrator.services.merge import merge
from orchestrator.services.refs import candidate_ref
from orchestrator.services.verify import verify_ended, verify_started
from tests.helpers.repositories import git
from tests.unit.services.origin import POLICY
from tests.unit.services.test_merge import UNVERIFIED
from tests.unit.services.yard import CrashError, Yard, crash

if TYPE_CHECKING:
    from pathlib import Path

    from orchestrator.domain.repository import Repository
    from orchestrator.domain.train import Train
    from orchestrator.services.floor import Floor

IN_THE_WAY = "src/a.txt has changes that are not committed. Commit or stash them."


@pytest.fixture
def yard(git_floor: Floor, origin: Path, tmp_path: Path) -> Yard:
    """A train with two changes."""
    yard = Yard(git_floor, origin, tmp_path)
    yard.approved(1, {"src/a.txt": "two\n"}, priority=0)
    yard.approved(2, {"src/b.txt": "two\n"})
    return yard


def place(yard: Yard, reach: Reach = Reach.FLEET, name: str = "") -> None:
    halt(yard.floor, reach, name, why="a test", who="ann")


def lift(yard: Yard) -> None:
    resume(yard.floor, [], who="ann")


def landings(yard: Yard) -> list[str | None]:
    return [task for task, kind in yard.events() if kind == "landed"]


def merges(yard: Yard) -> int:
    """How many merges the target's history has."""
    return int(git(yard.origin, "rev-list", "--count", "--first-parent", "--merges", "main"))


def test_what_landed_before_a_crash_is_recognised(yard: Yard) -> None:
    yard.merge()
    commit = yard.candidate.commit
    yard.gate.after = crash
    with pytest.raises(CrashError):
        yard.verify()
    assert (yard.tip, yard.task(1).state) == (commit, State.MERGING)
    yard.merge()
    assert (yard.task(1).state, yard.task(1).merged_as) == (State.MERGED, commit)
    assert (landings(yard), merges(yard)) == (["T1"], 1)


def test_what_landed_before_a_crash_cannot_be_cancelled_any_more(yard: Yard) -> None:
    yard.merge()
    yard.gate.after = crash
    with pytest.raises(CrashError):
        yard.verify()
    with pytest.raises(TransitionError, match="has landed on main"):
        cancel(yard.floor, "T1", who="ann")
    yard.merge()
    assert yard.task(1).state is State.MERGED


def test_what_passed_and_has_not_landed_can_be_cancelled(yard: Yard) -> None:
    yard.merge()
    yard.gate.blocked = "a file is in the way."
    yard.verify()
    assert cancel(yard.floor, "T1", who="ann").state is State.CANCELLED
    yard.gate.blocked = None
    yard.merge()
    yard.verify()
    assert landings(yard) == ["T2"]


def test_what_landed_before_a_crash_is_recognised_although_the_target_went_on(yard: Yard) -> None:
    yard.merge()
    commit = yard.candidate.commit
    yard.gate.after = crash
    with pytest.raises(CrashError):
        yard.verify()
    theirs = yard.land_by_hand({"src/c.txt": "theirs\n"})
    yard.merge()
    assert (yard.task(1).state, yard.task(1).merged_as, yard.tip) == (State.MERGED, commit, theirs)
    assert yard.candidate.base == theirs


def test_a_crash_between_landing_and_tidying_leaves_nothing_behind(yard: Yard) -> None:
    yard.merge()
    yard.gate.closing = crash
    with pytest.raises(CrashError):
        yard.verify()
    assert (yard.task(1).state, yard.train.candidate is None) == (State.MERGED, False)
    yard.merge()
    assert yard.refs() == {candidate_ref(yard.candidate.fence), "refs/heads/shopfloor/T2-change"}
    assert landings(yard) == ["T1"]


def test_what_cannot_be_tidied_keeps_nothing_from_landing(yard: Yard) -> None:
    def refuse() -> None:
        raise GitError("The branch is protected.")

    yard.merge()
    yard.gate.closing = refuse
    yard.verify()
    assert (landings(yard), yard.candidate.task) == (["T1"], "T2")


def test_a_crash_between_sending_back_and_clearing_the_train_loses_no_work(
    yard: Yard, monkeypatch: pytest.MonkeyPatch
) -> None:
    yard.merge()
    fence, commit = yard.candidate.fence, yard.candidate.commit
    verify_started(yard.floor, "R1", fence, "h1")
    commit_train = yard.store.commit_train

    def crash_on_clearing(train: Train, *args: object, **named: object) -> None:
        if train.candidate is None:
            crash()
        commit_train(train, *args, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(yard.store, "commit_train", crash_on_clearing)
    with pytest.raises(CrashError):
        verify_ended(yard.floor, "R1", fence, 1, "red")
    monkeypatch.undo()
    yard.merge()
    task = yard.task(1)
    assert (task.state, task.head, yard.candidate.task) == (State.QUEUED, commit, "T2")
    elsewhere = yard.elsewhere().mirror(yard.repository)
    elsewhere.ensure()
    elsewhere.fetch_commit(task.checkpoint or "", commit)
    assert elsewhere.has(commit)


@pytest.mark.parametrize("verdict", [0, 1])
def test_a_candidate_that_was_built_on_one_machine_is_carried_on_by_another(yard: Yard, verdict: int) -> None:
    yard.merge()
    yard.gate.blocked = IN_THE_WAY
    if verdict:
        yard.floor = yard.elsewhere()
        yard.verify(verdict, "red")
        assert yard.task(1).state is State.QUEUED
        return
    yard.verify(verdict)
    yard.gate.blocked = None
    merge(yard.elsewhere(), "R1")
    assert yard.task(1).state is State.MERGED


def test_a_landing_that_is_blocked_says_why_once_and_lands_later(yard: Yard) -> None:
    before = yard.tip
    yard.merge()
    yard.gate.blocked = IN_THE_WAY
    yard.verify()
    yard.merge()
    yard.merge()
    assert (yard.tip, yard.task(1).state, yard.candidate.verdict) == (before, State.MERGING, Verdict.PASSED)
    assert yard.events().count(("T1", "landing_blocked")) == 1
    assert explain(yard.floor, "T1").reason.text == IN_THE_WAY
    yard.gate.blocked = None
    yard.merge()
    assert (landings(yard), yard.train.blocked, yard.candidate.task) == (["T1"], None, "T2")


def test_a_rule_that_is_broken_keeps_the_train_and_says_so_until_it_is_mended(yard: Yard) -> None:
    yard.land_by_hand({".shopfloor/repo.yaml": "version: 2\n"})
    yard.merge()
    yard.merge()
    reason = explain(yard.floor, "T1").reason
    assert reason.code is ReasonCode.LANDING_BLOCKED
    assert ".shopfloor/repo.yaml" in reason.text
    assert yard.train.version == 1
    yard.land_by_hand({".shopfloor/repo.yaml": POLICY})
    yard.merge()
    assert (yard.candidate.task, yard.train.blocked) == ("T1", None)


def test_a_repository_that_cannot_be_reached_keeps_the_train_and_says_so(yard: Yard) -> None:
    away = yard.origin.rename(yard.origin.with_name("away.git"))
    yard.merge()
    assert yard.train.blocked is not None
    assert str(yard.origin) in yard.train.blocked.text
    away.rename(yard.origin)
    yard.merge()
    assert yard.candidate.task == "T1"


def test_a_train_that_was_stuck_and_is_empty_now_keeps_no_complaint(yard: Yard) -> None:
    yard.land_by_hand({".shopfloor/repo.yaml": "version: 2\n"})
    yard.merge()
    for task in ("T1", "T2"):
        cancel(yard.floor, task, who="ann")
    yard.merge()
    assert yard.train.blocked is None


def test_nothing_is_built_during_a_halt(yard: Yard) -> None:
    place(yard)
    yard.merge()
    assert yard.train.candidate is None
    lift(yard)
    yard.merge()
    assert yard.candidate.task == "T1"


def test_nothing_is_verified_during_a_halt(yard: Yard) -> None:
    yard.merge()
    place(yard)
    assert verify_started(yard.floor, "R1", yard.candidate.fence, "h1") is None
    lift(yard)
    assert verify_started(yard.floor, "R1", yard.candidate.fence, "h1") is not None


def test_a_host_that_is_halted_verifies_nothing_and_another_does(yard: Yard) -> None:
    yard.merge()
    place(yard, Reach.HOST, "h1")
    assert verify_started(yard.floor, "R1", yard.candidate.fence, "h1") is None
    assert verify_started(yard.floor, "R1", yard.candidate.fence, "h2") is not None


@pytest.mark.parametrize(("reach", "name"), [(Reach.FLEET, ""), (Reach.REPOSITORY, "R1"), (Reach.BLUEPRINT, "codemod")])
@pytest.mark.parametrize("verdict", [0, 1])
def test_nothing_lands_or_is_sent_back_during_a_halt_and_goes_on_after_it(
    yard: Yard, reach: Reach, name: str, verdict: int
) -> None:
    before = yard.tip
    yard.merge()
    fence = yard.candidate.fence
    verify_started(yard.floor, "R1", fence, "h1")
    place(yard, reach, name)
    verify_ended(yard.floor, "R1", fence, verdict, "")
    yard.merge()
    assert (yard.tip, yard.task(1).state, yard.candidate.fence) == (before, State.MERGING, fence)
    lift(yard)
    yard.merge()
    assert yard.task(1).state is (State.QUEUED if verdict else State.MERGED)


def test_a_halt_of_one_task_lets_the_others_go_first(yard: Yard) -> None:
    yard.merge()
    fence = yard.candidate.fence
    place(yard, Reach.TASK, "T1")
    yard.merge()
    assert (yard.candidate.task, candidate_ref(fence) in yard.refs()) == ("T2", False)
    yard.verify()
    assert (landings(yard), yard.task(1).state) == (["T2"], State.MERGING)
    lift(yard)
    yard.merge()
    yard.verify()
    assert landings(yard) == ["T2", "T1"]


def test_many_at_once_land_each_change_once(yard: Yard) -> None:
    yard.land_by_hand(UNVERIFIED)
    yard.approved(3, {"src/c.txt": "new\n"})
    floors = [yard.floor, yard.elsewhere(), yard.floor, yard.floor]
    with ThreadPoolExecutor(len(floors)) as pool:
        list(pool.map(lambda floor: merge(floor, "R1"), floors))
    assert [yard.task(number).state for number in (1, 2, 3)] == [State.MERGED] * 3
    assert (landings(yard), merges(yard)) == (["T1", "T2", "T3"], 3)


def test_whoever_lost_the_right_to_the_train_lands_nothing_twice(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every one may move the train at any time, as when each was so slow that its right ran out."""
    yard.land_by_hand(UNVERIFIED)
    monkeypatch.setattr(yard.store, "acquire", lambda *_: True)
    monkeypatch.setattr(yard.store, "release", lambda *_: False)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: yard.merge(), range(4)))
    monkeypatch.undo()
    yard.merge()
    assert sorted(map(str, landings(yard))) == ["T1", "T2"]
    assert [yard.task(number).state for number in (1, 2)] == [State.MERGED] * 2


def test_a_wish_to_merge_that_comes_while_another_merges_is_not_lost(
    yard: Yard, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It comes when the other has seen that there is nothing to do, and has not yet given back its right."""
    place(yard)
    release = yard.store.release

    def lift_and_merge(name: str, token: str) -> bool:
        monkeypatch.undo()
        lift(yard)
        yard.merge()
        assert yard.train.candidate is None
        return release(name, token)

    monkeypatch.setattr(yard.store, "release", lift_and_merge)
    yard.merge()
    assert yard.candidate.task == "T1"


def test_whoever_has_lost_the_right_to_the_train_stops(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    yard.land_by_hand(UNVERIFIED)
    acquire = yard.store.acquire
    taken: list[str] = []

    def acquire_once(name: str, token: str, seconds: float) -> bool:
        taken.append(token)
        return len(taken) == 1 and acquire(name, token, seconds)

    monkeypatch.setattr(yard.store, "acquire", acquire_once)
    yard.merge()
    assert (yard.candidate.task, landings(yard)) == ("T1", [])


def test_a_verdict_is_not_lost_where_the_train_is_noted_upon_at_the_same_moment(
    yard: Yard, monkeypatch: pytest.MonkeyPatch
) -> None:
    yard.merge()
    fence = yard.candidate.fence
    read = yard.store.train
    overtaken: list[Train] = []

    def read_then_note(repository: Repository) -> Train:
        found = read(repository)
        if not overtaken:
            overtaken.append(found)
            yard.store.commit_train(found.noted(found.candidate))
        return found

    monkeypatch.setattr(yard.store, "train", read_then_note)
    verify_ended(yard.floor, "R1", fence, 0, "")
    assert landings(yard) == ["T1"]
