"""`fleet`, `hosts`, `locks`, `train`, `blueprints`, `token`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from blueprints.catalog import Catalog
from blueprints.parse import parse_blueprint
from orchestrator.cli.blueprints import as_yaml
from orchestrator.cli.main import run
from orchestrator.views import view, views

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.cli.cases import Shell


def test_the_figures_are_told_in_words_and_as_json(shell: Shell) -> None:
    assert "2 running, 2 tasks in the queue" in shell("fleet").out
    assert shell("fleet", "--hours", "1", "--json").json["window_hours"] == 1


def test_hosts_locks_and_trains_are_listed(shell: Shell) -> None:
    assert "2 of 4" in shell("hosts").out
    assert "src/part3" in shell("locks").out
    assert "▲ T6  e5e5e5e5e5e5  being verified, on builder-1" in shell("train").out
    assert shell("hosts", "--json").json == views(shell.desk.hosts())
    assert shell("locks", "--json").json == views(shell.desk.locks())
    assert shell("train", "--json").json == views(shell.desk.trains())


def test_nothing_to_list_is_said_on_stderr(quiet_shell: Shell) -> None:
    done = quiet_shell("locks")
    assert (done.code, done.out, done.err) == (0, "", "No scope is held.\n")
    assert quiet_shell("locks", "--json").json == []
    assert "nothing is waiting to land" in quiet_shell("train").out


def test_blueprints_are_listed_with_where_they_are_from(quiet_shell: Shell) -> None:
    shown = quiet_shell("blueprints").out
    assert ".shopfloor/blueprints/rename.yaml" in shown
    assert "built in" in shown
    assert {each["name"] for each in quiet_shell("blueprints", "--json").json} >= {"rename", "bug-fix"}


def test_a_blueprint_is_shown_as_the_yaml_that_declares_it(quiet_shell: Shell) -> None:
    shown = quiet_shell("blueprints", "show", "rename").out
    assert parse_blueprint(shown, "shown.yaml") == quiet_shell.desk.blueprint("web-1", "rename")
    assert quiet_shell("blueprints", "show", "rename", "--json").json == view(
        quiet_shell.desk.blueprint("web-1", "rename")
    )


@pytest.mark.parametrize("entry", Catalog.builtin().entries.values(), ids=lambda entry: entry.blueprint.name)
def test_every_built_in_blueprint_survives_being_printed(entry: object) -> None:
    blueprint = entry.blueprint  # type: ignore[attr-defined]
    assert parse_blueprint(as_yaml(blueprint), "shown.yaml") == blueprint


def test_an_unknown_blueprint_names_the_nearest(quiet_shell: Shell) -> None:
    done = quiet_shell("blueprints", "show", "bugfix")
    assert (done.code, done.out) == (2, "")
    assert "'bug-fix'" in done.err


def test_files_are_checked_without_a_fleet(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good, bad, policy = tmp_path / "good.yaml", tmp_path / "bad.yaml", tmp_path / "repo.yaml"
    good.write_text('name: a\nsteps: [{name: edit, agent: {prompt: "x"}}]\n')
    bad.write_text("name: a\nsteps:\n  - {name: lint, run: x, gate: true}\n")
    policy.write_text("version: 2\n")
    assert run(["blueprints", "check", str(good)]) == 0
    assert capsys.readouterr().out == f"{good}: good; a goes edit\n"
    assert run(["blueprints", "check", str(bad), str(good), str(policy), str(tmp_path / "none.yaml")]) == 2
    out, err = capsys.readouterr()
    assert out == f"{good}: good; a goes edit\n"
    told = err.splitlines()
    assert told[0].startswith(f"Error: {bad}:3: key 'steps[0]")
    assert told[1].startswith("Expected: ")
    assert str(policy) in told[2]
    assert "no such file" in told[4]


def test_tokens_are_given_listed_and_withdrawn(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOPFLOOR_STATE", str(tmp_path / "state"))
    assert run(["token", "list"]) == 0
    assert "There are no tokens." in capsys.readouterr().err
    assert run(["token", "add", "ci"]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("shopfloor_")
    assert "only time" in err
    assert run(["token", "list"]) == 0
    assert capsys.readouterr().out.splitlines()[1].split() == ["ci", "submitter"]
    assert run(["token", "add", "ci"]) == 2
    assert run(["token", "remove", "ci"]) == 0
    assert run(["token", "remove", "ci"]) == 2
