"""`submit`: good tasks, batches, and everything that can be wrong with them."""

from __future__ import annotations

import io
import json
import sys
from typing import TYPE_CHECKING

import pytest

from orchestrator.views import task_view

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.cli.cases import Shell


def test_a_task_is_submitted_with_all_that_was_said(quiet_shell: Shell) -> None:
    first = quiet_shell("submit", "Make room", "--json").json["id"]
    done = quiet_shell(
        *("submit", "Rename Foo", "--body", "To Bar.", "--blueprint", "rename", "--scope", "src/a/**"),
        *("--scope", "docs/*.md", "--priority", "0", "--depends-on", first.lower(), "--label", "x"),
        *("--complexity", "l", "--tokens", "5000", "--minutes", "1.5", "--json"),
    )
    assert (done.code, done.err) == (0, "")
    task = done.json
    assert task == task_view(quiet_shell.desk.task(task["id"]))
    assert (task["title"], task["body"], task["blueprint"]) == ("Rename Foo", "To Bar.", "rename")
    assert task["scope"] == ["docs/*.md", "src/a"]
    assert (task["priority"], task["complexity"], task["labels"]) == (0, "L", ["x"])
    assert (task["depends_on"], task["state"]) == ([first], "waiting")
    assert (task["tokens"]["budget"], task["minutes"]["budget"]) == (5000, 1.5)
    assert task["submitted_by"] == "ann"


def test_a_person_is_told_the_id_and_the_state(quiet_shell: Shell) -> None:
    done = quiet_shell("submit", "Make room")
    assert (done.code, done.out) == (0, "T1  ○ queued  Make room\n")


def test_a_body_may_come_from_a_file_or_stdin(
    quiet_shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "body.md"
    file.write_text("\ufeffOne.\n\nTwo é.\n", "utf-8")
    assert quiet_shell("submit", "x", "--file", str(file), "--json").json["body"] == "One.\n\nTwo é.\n"
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"piped\n")))
    assert quiet_shell("submit", "x", "--file", "-", "--json").json["body"] == "piped\n"


@pytest.mark.parametrize(
    "title",
    [
        "say \"hello\" and 'bye'",
        "$(rm -rf /) `id` ; echo",
        "{{ task.title }} {% raw %}",
        "rocket \U0001f680 e\u0301 مرحبا",
        "-n",
        "a" * 300,
    ],
)
def test_an_odd_title_is_taken_as_it_is(quiet_shell: Shell, title: str) -> None:
    done = quiet_shell("submit", "--json", "--", title)
    assert done.code == 0
    assert done.json["title"] == title


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["one\ntwo"], "line break"),
        (["a" * 10_000], "10000 characters, at most 300"),
        (["  "], "title is empty"),
        ([""], "title is empty"),
        (["x\x1b[31m"], "control character"),
        (["x", "--scope", ".."], "scope"),
        (["x", "--scope", "src/../../etc"], "scope"),
        (["x", "--scope", "/etc/passwd"], "absolute"),
        (["x", "--scope", ""], "empty"),
        (["x", "--blueprint", "renam"], "'rename'"),
        (["x", "--needs", "gpu"], "gpu"),
        (["x", "--depends-on", "T77"], "'T77'"),
        (["x", "--depends-on", "nonsense"], "'nonsense'"),
        (["x", "--tokens", "0"], "tokens"),
        (["x", "--minutes", "nan"], "minutes"),
        (["x", "--minutes", "inf"], "minutes"),
        (["x", "--repository", "nowhere"], "'nowhere'"),
        (["x", "--file", "/does/not/exist"], "no such file"),
        (["x", "--file", "/"], "is a directory"),
        (["x", "--body", "a", "--file", "-"], "--body and --file"),
        (["x", "--batch", "-"], "--batch and TITLE"),
    ],
)
def test_a_task_that_cannot_be_is_refused_in_two_sentences(
    quiet_shell: Shell, arguments: list[str], words: str
) -> None:
    done = quiet_shell("submit", "--json", *arguments)
    assert (done.code, done.out) == (2, "")
    assert words in done.err
    assert done.err.startswith("Error: ")
    assert len(done.err.splitlines()) == 2
    assert quiet_shell.desk.tasks() == []


def test_a_body_that_is_no_text_is_refused(quiet_shell: Shell, tmp_path: Path) -> None:
    file = tmp_path / "picture"
    file.write_bytes(b"\x89PNG\xff")
    assert "not UTF-8" in quiet_shell("submit", "x", "--file", str(file)).err
    file.write_bytes(b"a" * 2_000_000)
    assert "larger than 1 MB" in quiet_shell("submit", "x", "--file", str(file)).err


BATCH = """\
- {key: one, title: Move the module, scope: [src/a], priority: 1}
- key: two
  title: Use it
  body: |
    Everywhere.
  scope: [src/b]
  depends_on: [one]
"""


def test_a_batch_is_numbered_and_may_depend_within_itself(quiet_shell: Shell, tmp_path: Path) -> None:
    file = tmp_path / "batch.yaml"
    file.write_text(BATCH, "utf-8")
    one, two = quiet_shell("submit", "--batch", str(file), "--json").json
    assert (one["priority"], two["depends_on"], two["body"]) == (1, [one["id"]], "Everywhere.\n")
    assert one["batch"] == two["batch"] is not None


def test_a_batch_may_be_json(quiet_shell: Shell, tmp_path: Path) -> None:
    file = tmp_path / "batch.json"
    file.write_text(json.dumps([{"title": "One", "scope": ["src/a"]}]), "utf-8")
    assert [task["title"] for task in quiet_shell("submit", "--batch", str(file), "--json").json] == ["One"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("- {title: a}\n- {title: b, colour: red}\n", "batch.yaml:2: key '[1].colour': is not a field of a task"),
        ("- {title: a, scopes: [b]}\n", "'scope'"),
        ("- {body: a}\n", "has no title"),
        ("title: a\n", "holds no list of tasks"),
        ("[]\n", "holds no list of tasks"),
        ("- just text\n", "is no task"),
        ("- {title: a, priority: 7}\n", "batch.yaml:1: task 1 of the batch: "),
        ("- {title: a, scope: src}\n", "scope"),
        ("- {title: a, key: k, depends_on: [l]}\n- {title: b, key: l, depends_on: [k]}\n", "circle"),
        ("- {title: a, key: k}\n- {title: b, key: k}\n", "'k' names 2 tasks"),
        ("- &a {title: x}\n- *a\n", "anchor"),
        ("- {title: a\n", "YAML cannot be read"),
        ("- {title: good}\n- {title: a, scope: [/abs]}\n", "absolute"),
    ],
)
def test_a_batch_with_a_mistake_is_refused_whole(quiet_shell: Shell, tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "batch.yaml"
    file.write_text(text, "utf-8")
    done = quiet_shell("submit", "--batch", str(file), "--json")
    assert (done.code, done.out) == (2, "")
    assert words in done.err
    assert quiet_shell.desk.tasks() == []


def test_a_batch_takes_no_options_of_a_single_task(quiet_shell: Shell, tmp_path: Path) -> None:
    file = tmp_path / "batch.yaml"
    file.write_text(BATCH, "utf-8")
    assert "--batch and --scope" in quiet_shell("submit", "--batch", str(file), "--scope", "src").err
