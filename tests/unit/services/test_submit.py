"""Submission: what is taken in, how it is matched, and what is refused; all or none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from orchestrator.courier import CONTROL_QUEUE, DISPATCH
from orchestrator.domain.task import Cause, Reason, ReasonCode, State, Task
from orchestrator.errors import InputError, NotFoundError
from orchestrator.services.attempt import blueprint_of
from orchestrator.services.submit import BATCH_MAX, BODY_MAX, Submission, branch_of, read_submission, slug, submit
from orchestrator.store import Wake
from tests.helpers.repositories import commit_bare, git
from tests.helpers.tasks import make_host, make_task
from tests.helpers.tasks import submit as put
from tests.unit.services.origin import EDIT

if TYPE_CHECKING:
    from pathlib import Path

    from orchestrator.domain.repository import Repository
    from orchestrator.services.floor import Floor
    from tests.helpers.couriers import MemoryCourier


class Counter:
    """Where tasks are handed in."""

    def __init__(self, floor: Floor, repository: Repository) -> None:
        self.floor = floor
        self._repository = repository

    def take(self, *submissions: dict[str, Any]) -> list[Task]:
        return submit(self.floor, self._repository, [read_submission(each) for each in submissions], who="ann")

    def refuses(self, *submissions: dict[str, Any], match: str) -> None:
        """Whether all of it is refused, and nothing was written."""
        before = (self.floor.store.tasks(), self.floor.store.events())
        with pytest.raises(InputError, match=match) as caught:
            self.take(*submissions)
        assert caught.value.remedy
        assert (self.floor.store.tasks(), self.floor.store.events()) == before


@pytest.fixture
def counter(git_floor: Floor, repository: Repository) -> Counter:
    return Counter(git_floor, repository)


def test_a_task_gets_what_it_leaves_open_from_policy_and_blueprint(counter: Counter, courier: MemoryCourier) -> None:
    (task,) = counter.take({"title": "  Rename a  "})
    now = counter.floor.clock()
    assert (task.id, task.title, task.blueprint, task.state) == ("T1", "Rename a", "edit", State.QUEUED)
    assert (task.scope, task.rounds_max, task.next_step, task.diff_lines_max) == (("src",), 2, "setup", 70)
    assert (task.tokens.budget, task.minutes.budget, task.priority) == (700, 7, 2)
    assert (task.created_at, task.queued_at, task.submitted_by, task.batch) == (now, now, "ann", None)
    assert counter.floor.store.task("T1") == task
    assert courier.sent == [Wake(DISPATCH, (), CONTROL_QUEUE)]
    (event,) = counter.floor.store.events()
    assert (event.type, event.source, event.target, event.who) == (Cause.SUBMITTED, None, State.QUEUED, "ann")


def test_what_a_task_says_itself_goes_before_policy_and_blueprint(counter: Counter) -> None:
    asked = {"scope": ["src/b.txt", "src/a.txt", "src/a.txt"], "priority": 0, "tokens": 5, "minutes": 0.5}
    (task,) = counter.take({"title": "x", **asked, "labels": ["l"], "complexity": "L"})
    assert (task.scope, task.priority) == (("src/a.txt", "src/b.txt"), 0)
    assert (task.tokens.budget, task.minutes.budget) == (5, 0.5)
    assert (task.labels, task.complexity) == (("l",), "L")


def test_the_blueprint_that_it_was_submitted_under_is_kept(counter: Counter) -> None:
    (task,) = counter.take({"title": "x"})
    kept = blueprint_of(counter.floor, task)
    assert (kept.name, kept.digest()) == ("edit", task.blueprint_digest)


def test_a_blueprint_is_chosen_by_name_or_label(counter: Counter) -> None:
    counter.floor.store.beat(make_host("h1", capabilities=("gpu", "x11")), [], 60)
    named, labelled = counter.take(
        {"title": "x", "blueprint": "ship", "needs": ["x11", "gpu"]}, {"title": "x", "labels": ["ship"]}
    )
    assert (named.blueprint, labelled.blueprint) == ("ship", "ship")
    assert (named.needs, labelled.needs) == (("gpu", "x11"), ("gpu",))


def test_rules_are_those_of_the_targets_tip_of_this_moment(counter: Counter, origin: Path) -> None:
    counter.take({"title": "x"})
    changed = "version: 1\ntarget: main\nagents:\n  default: {kind: command, command: [x]}\n"
    commit_bare(origin, {".shopfloor/repo.yaml": f"{changed}defaults: {{blueprint: edit, scope: [docs]}}\n"}, "docs")
    (task,) = counter.take({"title": "x"})
    assert task.scope == ("docs",)


def test_a_batch_is_numbered_and_its_keys_become_ids(counter: Counter) -> None:
    first, second, third = counter.take(
        {"title": "c", "depends_on": ["b", "a", "b"]},
        {"title": "b", "key": "b", "depends_on": ["a"]},
        {"title": "a", "key": "a"},
    )
    assert [task.batch for task in (first, second, third)] == ["B1"] * 3
    assert (first.depends_on, second.depends_on, third.depends_on) == (("T2", "T3"), ("T3",), ())
    assert [task.state for task in (first, second, third)] == [State.WAITING, State.WAITING, State.QUEUED]
    assert first.reason == Reason(code=ReasonCode.DEPENDENCY, text="waits until T2, T3 has landed.")
    assert (first.queued_at, third.queued_at) == (None, third.created_at)
    assert counter.floor.store.dependents("T3") == ["T1", "T2"]


@pytest.mark.parametrize("state", State)
def test_a_task_waits_for_another_unless_that_has_landed_and_not_for_one_that_is_given_up(
    counter: Counter, state: State
) -> None:
    put(counter.floor.store, id="T77", state=state)
    if state is State.CANCELLED:
        counter.refuses({"title": "x", "depends_on": ["T77"]}, match="T77, which was cancelled")
        return
    (task,) = counter.take({"title": "x", "depends_on": ["T77"]})
    assert task.state is (State.QUEUED if state is State.MERGED else State.WAITING)


def test_an_unknown_dependency_is_refused_by_name(counter: Counter) -> None:
    counter.refuses({"title": "x"}, {"title": "y", "depends_on": ["T404"]}, match="'T404', and there is no such task")
    with pytest.raises(NotFoundError):
        counter.take({"title": "y", "depends_on": ["T404"]})


def test_a_circle_is_refused_and_told_in_the_order_of_dependence(counter: Counter) -> None:
    one, two, three = (
        {"title": key, "key": key, "depends_on": [needed]} for key, needed in (("a", "b"), ("b", "c"), ("c", "a"))
    )
    counter.refuses(one, two, three, match=r"(a -> b -> c -> a|b -> c -> a -> b|c -> a -> b -> c)")
    counter.refuses({"title": "x", "key": "a", "depends_on": ["a"]}, match="a -> a")


def test_a_key_that_is_given_twice_is_refused(counter: Counter) -> None:
    counter.refuses({"title": "x", "key": "a"}, {"title": "y", "key": "a"}, match="'a' names 2 tasks")


@pytest.mark.parametrize("count", [0, BATCH_MAX + 1])
def test_a_batch_has_a_size(counter: Counter, count: int) -> None:
    counter.refuses(*([{"title": "x"}] * count), match=f"{count} tasks were submitted")


def test_a_capability_that_no_connected_host_has_is_refused_and_those_there_are_named(counter: Counter) -> None:
    for name, has in (("h1", ("x11",)), ("h2", ("arm",))):
        counter.floor.store.beat(make_host(name, capabilities=has), [], 60)
    counter.refuses({"title": "x", "needs": ["gpu"]}, match="'gpu'; they have: arm, x11")
    counter.refuses({"title": "x", "blueprint": "ship"}, match="'gpu'")
    assert counter.take({"title": "x", "needs": ["arm"]})


def test_with_no_host_connected_nobody_can_tell_what_there_is(counter: Counter) -> None:
    assert counter.take({"title": "x", "needs": ["gpu"]})


def test_an_unknown_blueprint_is_refused_and_those_there_are_named(counter: Counter) -> None:
    counter.refuses({"title": "x"}, {"title": "x", "blueprint": "shipp"}, match="shipp.*ship")


def test_a_blueprint_that_calls_an_agent_which_is_not_declared_is_refused(counter: Counter) -> None:
    counter.refuses({"title": "x", "blueprint": "strange"}, match="unheard-of")


@pytest.mark.parametrize("scope", ["../a", "/etc", "a/../b", "", "!a", ".git/config", "a\x00b"])
def test_a_scope_that_leaves_the_repository_is_refused(counter: Counter, scope: str) -> None:
    counter.refuses({"title": "x"}, {"title": "y", "scope": [scope]}, match="pattern")


def test_a_broken_rule_of_the_repository_is_refused_with_its_file_and_line(counter: Counter, origin: Path) -> None:
    commit_bare(origin, {".shopfloor/blueprints/edit.yaml": "name: edit\nstep: []\n"}, "break it")
    counter.refuses({"title": "x"}, match=r"\.shopfloor/blueprints/edit\.yaml")
    commit_bare(origin, {".shopfloor/blueprints/edit.yaml": EDIT, ".shopfloor/repo.yaml": "version: 2\n"}, "break it")
    counter.refuses({"title": "x"}, match=r"\.shopfloor/repo\.yaml")


def test_a_repository_without_rules_is_told_how_to_get_some(counter: Counter, origin: Path) -> None:
    empty = git(origin, "commit-tree", "-m", "Remove it all", git(origin, "mktree"))
    git(origin, "update-ref", "refs/heads/main", empty)
    counter.refuses({"title": "x"}, match=r"no \.shopfloor/repo\.yaml.*shopfloor init")


@pytest.mark.parametrize(
    "title", ["", "   ", "two\nlines", "a\ttab", "bell\x07", "nul\x00", "x\u2028y", "x" * 301, "\ud800"]
)
def test_a_title_that_is_no_line_of_text_is_refused(title: str) -> None:
    with pytest.raises(InputError, match="The task cannot be taken"):
        read_submission({"title": title})


@pytest.mark.parametrize(
    "title", ['"quoted" $(rm -rf /) `x`', "{{ 7 * 7 }}", "émoji 🦊", "x" * 300, "--help", "a: b #c"]
)
def test_a_title_is_any_line_of_text(title: str) -> None:
    assert read_submission({"title": title}).title == title


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({}, "'title'"),
        ({"title": "x", "priority": 5}, "'priority'"),
        ({"title": "x", "priority": -1}, "'priority'"),
        ({"title": "x", "tokens": 0}, "'tokens'"),
        ({"title": "x", "minutes": -1}, "'minutes'"),
        ({"title": "x", "minutes": float("nan")}, "'minutes'"),
        ({"title": "x", "complexity": "XL"}, "'complexity'"),
        ({"title": "x", "scope": "src"}, "'scope'"),
        ({"title": "x", "colour": "red"}, "'colour'"),
        ({"title": 7}, "'title'"),
        ({"title": "x", "body": "x" * (BODY_MAX + 1)}, "body"),
        ({"title": "x", "body": "\x00"}, "NUL"),
        ({"title": "x", "body": "\udcff"}, "UTF-8"),
        ({"title": "x", "labels": ["\udcff"]}, "UTF-8"),
        ({"title": "x", "scope": ["\udcff"]}, "UTF-8"),
    ],
)
def test_a_field_that_cannot_be_used_is_refused_by_name(fields: dict[str, object], named: str) -> None:
    with pytest.raises(InputError, match=named):
        read_submission(fields)


@pytest.mark.parametrize(
    ("title", "expected"),
    [
        ("Rename a", "rename-a"),
        ("Über-Größe!", "uber-groe"),
        ("🦊", "task"),
        ("../../etc", "etc"),
        ("--x--", "x"),
        ("a" * 39 + " b", "a" * 39),
        ("x.lock", "x-lock"),
    ],
)
def test_a_branch_ends_in_what_is_left_of_the_title(title: str, expected: str) -> None:
    assert slug(title) == expected
    assert branch_of(make_task(title=title)) == f"shopfloor/T1-{expected}"


def test_a_submission_is_the_same_after_a_trip_through_json() -> None:
    asked = Submission(title="x", scope=("a", "b"), depends_on=("T1",), tokens=5)
    assert Submission.model_validate_json(asked.model_dump_json()) == asked
