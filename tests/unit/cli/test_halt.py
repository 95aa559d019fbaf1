"""`halt` and `resume`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.unit.cli.cases import Shell


def test_a_halt_says_what_it_stopped_and_what_lifts_it(shell: Shell) -> None:
    done = shell("halt", "--why", "the agents loop")
    assert done.code == 0
    assert done.out.splitlines() == [
        "Halted: the fleet.",
        "Running there: T3 and T4; stopped, to go on later.",
        "Nothing is started until you lift it: `shopfloor resume`.",
    ]
    assert "the agents loop" in shell("fleet").out
    assert "HALTED by ann" in shell("watch", "--once").out


@pytest.mark.parametrize(
    ("option", "key", "stopped"),
    [
        (["--task", "t3"], ("task", "T3"), ["T3"]),
        (["--host", "builder-1"], ("host", "builder-1"), ["T3", "T4"]),
        (["--blueprint", "codemod"], ("blueprint", "codemod"), ["T3", "T4"]),
        (["--repository", "web"], ("repository", "web-1"), ["T3", "T4"]),
    ],
)
def test_a_halt_may_be_narrowed(shell: Shell, option: list[str], key: tuple[str, str], stopped: list[str]) -> None:
    done = shell("halt", *option, "--json").json
    assert (done["reach"], done["name"], done["stopped"]) == (*key, stopped)
    assert shell("resume", *option).out.startswith(f"Lifted: {key[0]} {key[1]} (no reason was given).")
    assert shell.desk.halts() == []


def test_a_name_that_nothing_answers_to_is_halted_with_a_note(shell: Shell) -> None:
    done = shell("halt", "--host", "builder-2")
    assert (done.code, "There are: builder-1." in done.err) == (0, True)
    assert "codemod" in shell("halt", "--blueprint", "codmod").err


@pytest.mark.parametrize(
    "arguments",
    [
        ["halt", "--task", "T99"],
        ["halt", "--repository", "nowhere"],
        ["halt", "--host", ""],
        ["halt", "--host", "a", "--task", "T3"],
        ["resume", "--host", "builder-1"],
    ],
)
def test_a_halt_of_nothing_is_refused(shell: Shell, arguments: list[str]) -> None:
    done = shell(*arguments)
    assert (done.code, done.out, len(done.err.splitlines())) == (2, "", 2)
    assert shell.desk.halts() == []


def test_resume_lifts_all_and_tells_what(shell: Shell) -> None:
    shell("halt")
    shell("halt", "--task", "T3")
    assert [halt["reach"] for halt in shell("resume", "--json").json] == ["fleet", "task"]
    assert shell("resume").out == "No halt was in force.\n"


def test_resume_of_one_tells_what_is_left(shell: Shell) -> None:
    shell("halt")
    shell("halt", "--task", "T3")
    done = shell("resume", "--task", "T3")
    assert "Lifted: task T3" in done.out
    assert "Still in force: the fleet was halted" in done.out
