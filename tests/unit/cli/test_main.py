"""The command as a whole: its help, and how what goes wrong is told."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import click
import pytest

from orchestrator.cli.main import SECTIONS, cli, run
from orchestrator.errors import UnreachableError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.unit.cli.cases import Shell


def commands() -> Iterator[tuple[str, click.Command]]:
    """Every command there is, with those of groups."""
    context = click.Context(cli)
    for name in cli.list_commands(context):
        command = cli.get_command(context, name)
        assert command is not None
        yield name, command
        for each, inner in command.commands.items() if isinstance(command, click.Group) else ():
            yield f"{name} {each}", inner


ALL = dict(commands())


@pytest.mark.parametrize("name", ALL)
def test_every_command_has_help_with_an_example(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*name.split(), "--help"]) == 0
    shown = capsys.readouterr().out
    _, _, example = shown.partition("Example:\n")
    assert f"shopfloor {name}" in example


def test_the_help_names_what_the_commands_say_of_themselves() -> None:
    table = {name: entry.summary for section in SECTIONS.values() for name, entry in section.items()}
    said = {name: command.short_help for name, command in ALL.items() if command.short_help and " " not in name}
    assert said == {name: table[name] for name in said}


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["tasks", "--help"], ["watch", "--help"]])
def test_help_loads_nothing_heavy(arguments: list[str]) -> None:
    script = (
        "import json, sys\n"
        "from orchestrator.cli.main import run\n"
        f"run({arguments!r})\n"
        "heavy = {'celery', 'kombu', 'fastapi', 'git', 'rich', 'redis', 'pydantic', 'httpx', 'yaml'}\n"
        "print(json.dumps(sorted(heavy & set(sys.modules))), file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert json.loads(done.stderr) == []


def test_json_needs_no_drawing(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rich.console", None)
    assert shell("tasks", "--json").code == 0
    assert shell("show", "T3", "--json").json["id"] == "T3"


@pytest.mark.parametrize(
    ("arguments", "message", "remedy"),
    [
        (["taks"], "There is no command 'taks'.", "Did you mean `shopfloor tasks`?"),
        (["qqqqq"], "There is no command 'qqqqq'.", "`shopfloor --help`"),
        (["show"], "Missing argument 'ID'.", "`shopfloor show --help`"),
        (["tasks", "--foo"], "No such option", "`shopfloor tasks --help`"),
        (["reject", "T5"], "Missing option '--why'", "`shopfloor reject --help`"),
        (["submit", "x", "--priority", "9"], "9 is not in the range 0<=x<=4.", "`shopfloor submit --help`"),
        (["tasks", "--state", "runing"], "Did you mean running?", "`shopfloor tasks --help`"),
        (["submit"], "No title was given.", "shopfloor submit"),
        (["events", "-n", "x"], "'x' is not a valid integer", "`shopfloor events --help`"),
    ],
)
def test_bad_usage_is_told_in_two_sentences(shell: Shell, arguments: list[str], message: str, remedy: str) -> None:
    done = shell(*arguments)
    assert (done.code, done.out) == (2, "")
    assert message in done.err
    assert remedy in done.err
    assert done.err.startswith("Error: ")
    assert len(done.err.splitlines()) == 2


def test_no_command_at_all_shows_the_help(shell: Shell) -> None:
    done = shell()
    assert (done.code, done.out) == (2, "")
    assert "submit" in done.err


def test_a_fleet_out_of_reach_is_exit_3(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    def lost(*_: object) -> None:
        raise UnreachableError("Redis cannot be reached: \x1b[31mrefused.", "Start it.")

    monkeypatch.setattr(shell.desk, "tasks", lost)
    done = shell("tasks", "--json")
    assert (done.code, done.out) == (3, "")
    assert done.err == "Error: Redis cannot be reached: refused.\nStart it.\n"


def test_a_fault_of_our_own_is_a_sentence(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise KeyError("oops")

    monkeypatch.setattr(shell.desk, "tasks", broken)
    monkeypatch.delenv("SHOPFLOOR_DEBUG", raising=False)
    done = shell("tasks")
    assert done.code == 1
    assert done.err.splitlines() == [
        "Error: Shopfloor met a fault of its own: KeyError: 'oops'.",
        "Set SHOPFLOOR_DEBUG=1 and repeat it to see where.",
    ]
    monkeypatch.setenv("SHOPFLOOR_DEBUG", "1")
    assert "Traceback" in shell("tasks").err


def test_an_argument_that_is_no_text_is_bad_input(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shell.desk, "halt", lambda _reach, _name, why: why.encode())
    done = shell("halt", "--why", "no\udcff")
    assert done.code == 2
    assert done.err == "Error: 'no?' has bytes that are not UTF-8.\nWrite it in UTF-8.\n"


def test_an_interruption_is_quiet(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(shell.desk, "tasks", interrupted)
    done = shell("tasks")
    assert (done.code, done.out, done.err) == (130, "", "")


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == 0
    assert capsys.readouterr().out.startswith("shopfloor ")
