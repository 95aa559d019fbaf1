"""Review: what a finished diff has to satisfy, and who must accept it."""

from __future__ import annotations

import pytest

from blueprints.model import Tier
from orchestrator.domain.review import Touched, inspect, tier_of
from orchestrator.domain.task import ReasonCode
from tests.helpers.tasks import make_task

TASK = make_task(scope=("src/**", "docs/*.md"), diff_lines_max=10)


def touched(*paths: str, lines: int = 1) -> list[Touched]:
    return [Touched(path, lines) for path in paths]


def test_a_diff_within_scope_and_size_is_accepted() -> None:
    assert inspect(TASK, touched("src/a.py", "src/b/c.py", "docs/x.md")) is None


def test_a_diff_of_just_the_limit_is_accepted_and_one_line_more_is_not() -> None:
    assert inspect(TASK, touched("src/a.py", "src/b.py", lines=5)) is None
    reason = inspect(TASK, [*touched("src/a.py", "src/b.py", lines=5), Touched("src/c.py", 1)])
    assert reason is not None
    assert reason.code is ReasonCode.DIFF_TOO_LARGE
    assert reason.text == "the diff has 11 lines; the limit is 10. Nothing was pushed."


def test_a_diff_without_anything_is_refused() -> None:
    reason = inspect(TASK, [])
    assert reason is not None
    assert reason.code is ReasonCode.NO_CHANGES


def test_a_binary_file_or_a_change_of_mode_is_a_change_without_lines() -> None:
    assert inspect(TASK, touched("src/logo.png", lines=0)) is None


@pytest.mark.parametrize("path", ["docs/a/b.md", "README.md", "Src/a.py", "srcs/a.py", ".shopfloor/repo.yaml"])
def test_a_path_outside_the_scope_is_refused_and_named(path: str) -> None:
    reason = inspect(TASK, touched("src/a.py", path))
    assert reason is not None
    assert reason.code is ReasonCode.SCOPE_VIOLATION
    assert reason.text == f"the diff touches {path}, outside its scope src/**, docs/*.md; nothing was pushed."


def test_of_many_paths_outside_the_scope_five_are_named_and_the_rest_counted() -> None:
    reason = inspect(TASK, touched(*(f"other/{number}" for number in range(8))))
    assert reason is not None
    assert "other/0, other/1, other/2, other/3, other/4 and 3 more," in reason.text


def test_the_scope_is_held_before_the_size() -> None:
    reason = inspect(TASK, touched("other/a", lines=100))
    assert reason is not None
    assert reason.code is ReasonCode.SCOPE_VIOLATION


@pytest.mark.parametrize("asked", Tier)
def test_a_change_of_anything_else_is_of_the_tier_that_its_blueprint_asks_for(asked: Tier) -> None:
    assert tier_of(asked, touched("src/a.py", "x/.shopfloor/a", ".shopfloors/a", "shopfloor/a")) is asked


@pytest.mark.parametrize("path", [".shopfloor/repo.yaml", ".shopfloor/agents/apply.sh", ".shopfloor"])
@pytest.mark.parametrize("asked", Tier)
def test_a_change_of_the_fleets_own_rules_is_a_persons_to_accept(asked: Tier, path: str) -> None:
    assert tier_of(asked, touched("src/a.py", path)) is Tier.HUMAN
