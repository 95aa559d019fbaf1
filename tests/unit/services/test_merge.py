"""The train: in order, each candidate verified as it lands, and what does not land is sent back, bounded."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from orchestrator.courier import CONTROL_QUEUE, DISPATCH, VERIFY, VERIFY_QUEUE
from orchestrator.domain.task import ReasonCode, State
from orchestrator.domain.train import Verdict
from orchestrator.services.decide import cancel
from orchestrator.services.merge import ASK_AGAIN_AFTER, merge
from orchestrator.services.refs import candidate_ref, checkpoint_ref
from orchestrator.services.verify import verify_abandoned, verify_ended, verify_started
from orchestrator.store import Wake
from tests.helpers.repositories import git, refs, show
from tests.helpers.tasks import submit
from tests.unit.services.origin import POLICY
from tests.unit.services.yard import Yard

if TYPE_CHECKING:
    from pathlib import Path

    from orchestrator.domain.task import Task
    from orchestrator.services.floor import Floor
    from tests.helpers.clocks import Clock
    from tests.helpers.couriers import MemoryCourier

UNVERIFIED = {".shopfloor/repo.yaml": POLICY.replace('verify: "true"\n', "")}


@pytest.fixture
def yard(git_floor: Floor, origin: Path, tmp_path: Path) -> Yard:
    return Yard(git_floor, origin, tmp_path)


def code_of(task: Task) -> ReasonCode | None:
    return task.reason.code if task.reason else None


def test_a_train_without_a_change_stands_still(yard: Yard, courier: MemoryCourier) -> None:
    yard.merge()
    assert (yard.train.version, courier.sent) == (0, [])


def test_the_first_in_order_is_built_and_hosts_are_asked_to_verify_it(
    yard: Yard, courier: MemoryCourier, clock: Clock
) -> None:
    before = yard.tip
    yard.approved(1, {"src/a.txt": "two\n"})
    clock.pass_by(1)
    urgent = yard.approved(2, {"src/b.txt": "two\n"}, priority=0)
    yard.merge()
    candidate = yard.candidate
    assert (candidate.task, candidate.base, candidate.head) == ("T2", before, urgent.head)
    assert candidate.verdict is Verdict.PENDING
    assert courier.sent == [Wake(VERIFY, ("R1", candidate.fence), VERIFY_QUEUE)]
    assert refs(yard.origin)[candidate_ref(candidate.fence)] == candidate.commit
    parents = git(yard.origin, "log", "-1", "--format=%P", candidate.commit)
    assert parents == f"{before} {urgent.head}"
    assert yard.tip == before


def test_what_was_verified_is_what_lands(yard: Yard, courier: MemoryCourier, clock: Clock) -> None:
    yard.approved(1, {"src/a.txt": "two\n"})
    yard.merge()
    commit = yard.candidate.commit
    clock.pass_by(minutes=3)
    yard.verify()
    task = yard.task(1)
    assert (task.state, task.merged_as, yard.tip) == (State.MERGED, commit, commit)
    assert (task.ended_at, code_of(task)) == (clock(), ReasonCode.LANDED)
    assert task.change is not None
    assert task.change.state == "merged"
    assert (yard.train.candidate, yard.refs()) == (None, set())
    assert [kind for _, kind in yard.events()] == ["candidate_built", "verify_started", "verify_passed", "landed"]
    assert Wake(DISPATCH, (), CONTROL_QUEUE) in courier.sent
    message = git(yard.origin, "log", "-1", "--format=%B")
    assert message == f"Merge T1: Change T1\n\nShopfloor-Task: T1\nShopfloor-Fence: {task.fence}"


def test_no_ref_of_any_attempt_is_left_of_a_task_that_landed(yard: Yard) -> None:
    yard.approved(1, {"src/a.txt": "two\n"}, attempt=3, checkpoint=checkpoint_ref("T1", 3))
    for fence in (1, 2, 3):
        git(yard.origin, "update-ref", checkpoint_ref("T1", fence), yard.tip)
    git(yard.origin, "update-ref", checkpoint_ref("T11", 1), yard.tip)
    yard.merge()
    yard.verify()
    assert yard.refs() == {checkpoint_ref("T11", 1)}


def test_the_next_change_is_built_on_what_has_landed(yard: Yard) -> None:
    yard.approved(1, {"src/a.txt": "two\n"})
    yard.approved(2, {"src/b.txt": "two\n"})
    yard.merge()
    yard.verify()
    assert (yard.candidate.task, yard.candidate.base) == ("T2", yard.tip)
    yard.verify()
    assert (show(yard.origin, "main", "src/a.txt"), show(yard.origin, "main", "src/b.txt")) == ("two", "two")


def test_without_a_verify_command_everything_lands_in_order(yard: Yard) -> None:
    yard.land_by_hand(UNVERIFIED)
    for number in (1, 2, 3):
        yard.approved(number, {f"src/{number}.txt": "new\n"}, priority=4 - number)
    yard.merge()
    assert [task for task, kind in yard.events() if kind == "landed"] == ["T3", "T2", "T1"]
    assert yard.refs() == set()


def test_tasks_that_depend_on_a_landed_one_are_queued(yard: Yard) -> None:
    yard.approved(1, {"src/a.txt": "two\n"})
    submit(yard.store, id="T2", state=State.WAITING, depends_on=("T1",))
    submit(yard.store, id="T3", state=State.WAITING, depends_on=("T1", "T2"))
    yard.merge()
    yard.verify()
    assert (yard.task(2).state, yard.task(3).state) == (State.QUEUED, State.WAITING)


def test_a_conflict_sends_the_change_back_to_be_done_again_on_the_new_base(yard: Yard) -> None:
    before = yard.approved(1, {"src/a.txt": "mine\n"})
    yard.land_by_hand({"src/a.txt": "theirs\n"})
    yard.merge()
    task = yard.task(1)
    assert (task.state, code_of(task), task.reworks) == (State.QUEUED, ReasonCode.CONFLICT, 1)
    assert (task.base, task.head, task.checkpoint, task.host) == (None, None, None, None)
    assert (task.next_step, task.round, task.published_head) == ("edit", 0, before.head)
    assert task.feedback is not None
    assert task.feedback.step == "merge"
    assert "src/a.txt" in task.feedback.log
    assert "+mine" in task.feedback.log
    assert "theirs" in task.feedback.log
    assert yard.train.candidate is None


def test_conflicts_are_bounded(yard: Yard) -> None:
    yard.approved(1, {"src/a.txt": "mine\n"}, reworks=1)
    yard.land_by_hand({"src/a.txt": "theirs\n"})
    yard.merge()
    assert (yard.task(1).state, code_of(yard.task(1))) == (State.ESCALATED, ReasonCode.CONFLICT)


def test_one_that_conflicts_keeps_nobody_behind_it(yard: Yard) -> None:
    yard.approved(1, {"src/a.txt": "mine\n"}, priority=0)
    yard.approved(2, {"src/b.txt": "two\n"})
    yard.land_by_hand({"src/a.txt": "theirs\n"})
    yard.merge()
    assert (yard.task(1).state, yard.candidate.task) == (State.QUEUED, "T2")


def test_a_failed_verification_sends_the_change_back_to_go_on_from_the_candidate(yard: Yard) -> None:
    before = yard.tip
    yard.approved(1, {"src/a.txt": "two\n"})
    yard.merge()
    candidate = yard.candidate
    yard.verify(3, "one test is red")
    task = yard.task(1)
    assert (task.state, code_of(task), task.reworks) == (State.QUEUED, ReasonCode.VERIFY_FAILED, 1)
    assert (task.base, task.head, task.next_step, task.round) == (candidate.base, candidate.commit, "edit", 0)
    assert task.feedback is not None
    assert (task.feedback.step, task.feedback.exit_code, task.feedback.log) == ("verify", 3, "one test is red")
    assert task.checkpoint == checkpoint_ref("T1", candidate.fence)
    assert refs(yard.origin)[task.checkpoint] == candidate.commit
    assert candidate_ref(candidate.fence) not in yard.refs()
    assert (yard.train.candidate, yard.tip) == (None, before)


def test_failed_verifications_are_bounded_and_tell_the_last_one(yard: Yard) -> None:
    yard.approved(1, {"src/a.txt": "two\n"}, reworks=1)
    yard.merge()
    yard.verify(1, "still red")
    task = yard.task(1)
    assert (task.state, code_of(task)) == (State.ESCALATED, ReasonCode.VERIFY_FAILED)
    assert task.feedback is not None
    assert task.feedback.log == "still red"
    assert yard.train.candidate is None


def test_a_verification_that_was_killed_has_failed(yard: Yard) -> None:
    yard.approved(1, {"src/a.txt": "two\n"})
    yard.merge()
    fence = yard.candidate.fence
    verify_ended(yard.floor, "R1", fence, None, "it took too long")
    assert yard.task(1).state is State.QUEUED


def test_a_target_that_moved_is_verified_again_and_the_change_is_not_blamed(yard: Yard) -> None:
    yard.approved(1, {"src/a.txt": "two\n"})
    yard.merge()
    first = yard.candidate
    theirs = yard.land_by_hand({"src/b.txt": "theirs\n"})
    yard.verify()
    second = yard.candidate
    assert (second.base, second.task, second.verdict) == (theirs, "T1", Verdict.PENDING)
    assert second.fence > first.fence
    assert ("T1", "contention") in yard.events()
    assert yard.refs() == {candidate_ref(second.fence), "refs/heads/shopfloor/T1-change"}
    assert (yard.task(1).state, yard.task(1).reworks) == (State.MERGING, 0)
    yard.verify()
    assert yard.task(1).state is State.MERGED
    assert show(yard.origin, "main", "src/b.txt") == "theirs"


def test_a_target_that_moves_at_the_last_moment_is_not_overwritten(yard: Yard) -> None:
    yard.approved(1, {"src/a.txt": "two\n"})
    yard.merge()
    yard.gate.before = lambda: yard.land_by_hand({"src/b.txt": "theirs\n"})
    yard.verify()
    assert (yard.candidate.base, yard.task(1).state) == (yard.tip, State.MERGING)
    assert show(yard.origin, "main", "src/b.txt") == "theirs"


def test_a_change_that_the_target_has_already_is_a_persons(yard: Yard) -> None:
    yard.approved(1, {"src/a.txt": "two\n"})
    yard.land_by_hand({"src/a.txt": "two\n", "src/b.txt": "theirs\n"})
    yard.merge()
    assert (yard.task(1).state, code_of(yard.task(1))) == (State.ESCALATED, ReasonCode.NO_CHANGES)


def test_a_verify_command_that_ran_out_of_time_is_told_as_that(yard: Yard) -> None:
    yard.approved(1, {"src/a.txt": "two\n"})
    yard.merge()
    yard.verify(None, "It took longer than its 3 seconds.")
    reason = yard.task(1).reason
    assert reason is not None
    assert "(killed, or out of time)" in reason.text


def test_a_change_that_somebody_merged_by_hand_has_landed(yard: Yard) -> None:
    task = yard.approved(1, {"src/a.txt": "two\n"})
    git(yard.origin, "update-ref", "refs/heads/main", task.head or "")
    yard.merge()
    assert (yard.task(1).state, yard.task(1).merged_as, yard.tip) == (State.MERGED, task.head, task.head)
    assert yard.refs() == set()


def test_the_verdict_on_an_earlier_candidate_changes_nothing(yard: Yard) -> None:
    yard.approved(1, {"src/a.txt": "two\n"})
    yard.merge()
    train = yard.train
    for fence in (yard.candidate.fence - 1, yard.candidate.fence + 1):
        verify_ended(yard.floor, "R1", fence, 0, "")
        assert verify_started(yard.floor, "R1", fence, "h1") is None
        verify_abandoned(yard.floor, "R1", fence, "h1")
    assert yard.train == train


def test_a_candidate_is_taken_by_one_host_and_judged_once(yard: Yard) -> None:
    yard.approved(1, {"src/a.txt": "two\n"})
    yard.merge()
    fence = yard.candidate.fence
    assert verify_started(yard.floor, "R1", fence, "h1") is not None
    assert verify_started(yard.floor, "R1", fence, "h2") is None
    yard.gate.blocked = "a file is in the way."
    verify_ended(yard.floor, "R1", fence, 0, "")
    train = yard.train
    verify_ended(yard.floor, "R1", fence, 1, "red")
    verify_abandoned(yard.floor, "R1", fence, "h1")
    assert yard.train == train


def test_hosts_are_asked_again_for_a_candidate_that_none_has_taken(
    yard: Yard, courier: MemoryCourier, clock: Clock
) -> None:
    yard.approved(1, {"src/a.txt": "two\n"})
    yard.merge()
    asked = [Wake(VERIFY, ("R1", yard.candidate.fence), VERIFY_QUEUE)]
    yard.merge()
    assert courier.sent == asked
    clock.pass_by(ASK_AGAIN_AFTER.total_seconds() + 1)
    yard.merge()
    yard.merge()
    assert courier.sent == asked * 2


def test_a_candidate_that_is_given_back_unjudged_is_asked_for_at_once(yard: Yard, courier: MemoryCourier) -> None:
    yard.approved(1, {"src/a.txt": "two\n"})
    yard.merge()
    fence = yard.candidate.fence
    verify_started(yard.floor, "R1", fence, "h1")
    verify_abandoned(yard.floor, "R1", fence, "h1")
    yard.merge()
    assert (yard.candidate.host, len(courier.sent)) == (None, 2)
    assert verify_started(yard.floor, "R1", fence, "h2") is not None
    verify_abandoned(yard.floor, "R1", fence, "h1")
    assert yard.candidate.host == "h2"


def test_the_candidate_of_a_cancelled_task_is_dropped_and_the_next_goes_on(yard: Yard) -> None:
    yard.approved(1, {"src/a.txt": "two\n"}, priority=0)
    yard.approved(2, {"src/b.txt": "two\n"})
    yard.merge()
    fence = yard.candidate.fence
    cancel(yard.floor, "T1", who="ann")
    verify_ended(yard.floor, "R1", fence, 0, "")
    assert (yard.candidate.task, candidate_ref(fence) in yard.refs()) == ("T2", False)
    assert show(yard.origin, "main", "src/a.txt") == "one"


def test_repositories_have_trains_of_their_own(yard: Yard) -> None:
    yard.approved(1, {"src/a.txt": "two\n"}, repository="R2")
    merge(yard.floor, "R1")
    assert yard.train.candidate is None
