"""What `init` writes."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from blueprints.catalog import Catalog
from blueprints.policy import RepositoryPolicy, parse_policy
from orchestrator.checkout import find_checkout
from orchestrator.errors import InputError
from orchestrator.scaffold import guess_verify, next_steps, scaffold
from tests.helpers.repositories import git, make_bare, make_repository

if TYPE_CHECKING:
    from pathlib import Path

POLICY = ".shopfloor/repo.yaml"
WRITTEN = [".shopfloor/agents/example.sh", ".shopfloor/blueprints/note.yaml", POLICY]


def policy_of(checkout: Path) -> RepositoryPolicy:
    return parse_policy((checkout / POLICY).read_text(), POLICY)


def test_what_is_written_can_be_used(tmp_path: Path) -> None:
    checkout = make_repository(tmp_path / "r", {"pytest.ini": ""}, branch="trunk")
    assert scaffold(find_checkout(checkout)) == [(path, True) for path in WRITTEN]
    policy = policy_of(checkout)
    assert (policy.target, policy.verify) == ("trunk", "python3 -m pytest -q")
    catalog = Catalog.builtin().with_repository({WRITTEN[1]: (checkout / WRITTEN[1]).read_text()})
    assert policy.defaults.blueprint is not None
    assert policy.lacks(catalog.get(policy.defaults.blueprint)) is None
    listed = git(checkout, "status", "--porcelain", "--untracked-files=all").splitlines()
    assert sorted(line.removeprefix("?? ") for line in listed) == sorted(WRITTEN)


def test_the_sample_agent_really_edits_a_file(tmp_path: Path) -> None:
    checkout = make_repository(tmp_path / "r", {})
    scaffold(find_checkout(checkout))
    title = 'Say "$(hello)" \\n %s'
    for prompt in (f"{title}\n\nmore\n", title):
        subprocess.run([checkout / WRITTEN[0]], cwd=tmp_path, input=prompt, text=True, check=True, timeout=30)
    assert (tmp_path / "SHOPFLOOR_NOTES.md").read_text() == f"- {title}\n" * 2


def test_a_checkout_that_has_a_policy_is_left_as_it_is(tmp_path: Path) -> None:
    checkout = make_repository(tmp_path / "r", {POLICY: "mine\n"})
    assert scaffold(find_checkout(checkout)) == [(POLICY, False)]
    assert (checkout / POLICY).read_text() == "mine\n"
    assert git(checkout, "status", "--porcelain") == ""


def test_a_file_that_is_there_is_left_as_it_is(tmp_path: Path) -> None:
    checkout = make_repository(tmp_path / "r", {WRITTEN[0]: "mine\n"})
    assert scaffold(find_checkout(checkout)) == [(WRITTEN[0], False), (WRITTEN[1], True), (POLICY, True)]
    assert (checkout / WRITTEN[0]).read_text() == "mine\n"


def test_an_empty_repository_is_told_that_it_needs_a_commit(tmp_path: Path) -> None:
    checkout = find_checkout(make_repository(tmp_path / "r", {}, branch="trunk"))
    scaffold(checkout)
    assert policy_of(checkout.root).target == "trunk"
    assert "no commit yet" in next_steps(checkout)


def test_the_target_is_the_remotes_default_branch(tmp_path: Path) -> None:
    bare = make_bare(tmp_path / "hub.git", {"a": "1"}, branch="trunk")
    git(tmp_path, "clone", "--quiet", str(bare), "r")
    git(tmp_path / "r", "switch", "--quiet", "--create", "topic")
    checkout = find_checkout(tmp_path / "r")
    scaffold(checkout)
    assert policy_of(checkout.root).target == "trunk"
    assert "git push" in next_steps(checkout)


def test_a_detached_head_without_a_remote_is_refused(tmp_path: Path) -> None:
    checkout = make_repository(tmp_path / "r", {"a": "1"})
    git(checkout, "switch", "--quiet", "--detach")
    with pytest.raises(InputError, match="detached"):
        scaffold(find_checkout(checkout))
    assert git(checkout, "status", "--porcelain") == ""


@pytest.mark.parametrize("branch", ["1.0", "true", "a'b", "naïve"])
def test_a_strange_name_of_a_branch_is_kept(tmp_path: Path, branch: str) -> None:
    checkout = make_repository(tmp_path / "r", {"a": "1"}, branch=branch)
    scaffold(find_checkout(checkout))
    assert policy_of(checkout).target == branch


@pytest.mark.parametrize(
    ("files", "command"),
    [
        ({"pyproject.toml": "[tool.pytest.ini_options]\n"}, "python3 -m pytest -q"),
        ({"tests/unit/test_a.py": ""}, "python3 -m pytest -q"),
        ({"package.json": '{"scripts": {"test": "jest"}}'}, "npm install && npm test"),
        ({"package.json": '{"scripts": {"test": "jest"}}', "package-lock.json": "{}"}, "npm ci && npm test"),
        ({"package.json": '{"scripts": {"test": "echo \\"Error: no test specified\\" && exit 1"}}'}, None),
        ({"package.json": "not JSON"}, None),
        ({"Makefile": "all:\ntest: all\n\techo\n"}, "make test"),
        ({"Makefile": "test := 1\n"}, None),
        ({"Cargo.toml": ""}, "cargo test"),
        ({"go.mod": ""}, "go test ./..."),
        ({}, None),
    ],
)
def test_the_verify_command_is_guessed_from_the_files(
    tmp_path: Path, files: dict[str, str], command: str | None
) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert guess_verify(tmp_path) == command


def test_without_a_guess_a_line_says_what_to_fill_in(tmp_path: Path) -> None:
    checkout = make_repository(tmp_path / "r", {})
    scaffold(find_checkout(checkout))
    assert policy_of(checkout).verify is None
    assert "# verify:" in (checkout / POLICY).read_text()
    assert os.access(checkout / WRITTEN[0], os.X_OK)
