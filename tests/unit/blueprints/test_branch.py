"""Branch names: what git itself says is the measure."""

from __future__ import annotations

import subprocess

import pytest

from blueprints.branch import branch_problem

NAMES = [
    "main", "release/1.0", "a-b_c", "\u00e9t\u00e9", "a@b", "refs/heads/x", "x.lockx", "a{b", "@a", "head", "a]b",
    "a!b",
    "", "HEAD", "-x", "/a", "a/", "a//b", ".a", "a/.b", "a.", "a.lock", "a.lock/b", "a..b", "a@{b", "a b", "a~b",
    "a^b", "a:b", "a?b", "a*b", "a[b", "a\\b", "a\tb", "a\x7fb", "a\nb", "a/-b", "a./b",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_a_name_is_taken_exactly_where_git_takes_it(name: str) -> None:
    asked = subprocess.run(["git", "check-ref-format", "--branch", name], capture_output=True, check=False)
    assert (branch_problem(name) is None) == (asked.returncode == 0)


def test_a_name_that_means_the_head_everywhere_else_is_refused() -> None:
    assert branch_problem("@") == "is a name that git keeps for itself"


def test_a_name_that_no_file_system_could_hold_is_refused() -> None:
    assert branch_problem("a" * 300) == "is too long"
