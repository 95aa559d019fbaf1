"""The board fits whatever room there is."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest
from rich.cells import cell_len
from rich.console import Console

from orchestrator.cli import watch
from orchestrator.cli.board import frame
from orchestrator.domain.halt import Reach
from orchestrator.errors import UnreachableError
from tests.helpers.tasks import submit

if TYPE_CHECKING:
    from pathlib import Path

    from orchestrator.cli.board import Board
    from tests.unit.cli.cases import Shell

SIZES = [(80, 24), (60, 20), (40, 12), (100, 30), (109, 24), (110, 24), (120, 40), (200, 60), (300, 80)]


def drawn(board: Board, width: int, height: int | None) -> list[str]:
    console = Console(file=io.StringIO(), width=width, height=height or 100)
    with console.capture() as capture:
        console.print(frame(board, width, height))
    return capture.get().splitlines()


@pytest.fixture
def crowded(shell: Shell) -> Board:
    """A board with more tasks than any terminal shows, with wide characters in their titles."""
    for number in range(10, 200):
        submit(shell.desk._store, id=f"T{number}", repository="web-1", title="漢字 and \U0001f680 " * 6)  # type: ignore[attr-defined]
    return watch.Feed(shell.desk).board()


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_no_line_is_too_long_and_no_frame_too_high(crowded: Board, width: int, height: int) -> None:
    lines = drawn(crowded, width, height)
    assert max(map(cell_len, lines)) <= width
    assert len(lines) <= height


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_what_runs_is_shown_at_every_size(crowded: Board, width: int, height: int) -> None:
    shown = "\n".join(drawn(crowded, width, height))
    assert "T3" in shown
    assert "T4" in shown


def test_a_queued_task_names_the_one_that_holds_its_scope(shell: Shell) -> None:
    submit(shell.desk._store, id="T9", repository="web-1", scope=("src/part3/api",))  # type: ignore[attr-defined]
    submit(shell.desk._store, id="T10", repository="web-1", scope=("docs",))  # type: ignore[attr-defined]
    queue = "\n".join(drawn(watch.Feed(shell.desk).board(), 200, 60))
    assert queue.count("scope of T3") == 1


def test_what_finds_no_room_is_counted(crowded: Board) -> None:
    assert "more" in "\n".join(drawn(crowded, 80, 24))


def test_running_tasks_tell_where_they_are_and_what_they_used(shell: Shell) -> None:
    for width in ("80", "140"):
        shown = shell("watch", "--once", "--width", width).out
        assert "test" in shown
        assert "1/3" in shown
        assert "builder-1" in shown
        assert "4.2/20m" in shown
        assert "31.4k/200k" in shown


def test_a_fleet_without_tasks_has_a_board_too(quiet_shell: Shell) -> None:
    assert "RUNNING  0" in quiet_shell("watch", "--once").out


def test_the_board_is_written_as_a_picture(shell: Shell, tmp_path: Path) -> None:
    file = tmp_path / "board.svg"
    assert shell("watch", "--svg", str(file)).code == 0
    assert ET.fromstring(file.read_text("utf-8")).tag.endswith("svg")  # noqa: S314 - we wrote it
    assert shell("watch", "--svg", str(tmp_path / "no" / "board.svg")).code == 2


def test_news_change_the_board_and_only_named_tasks_are_read_again(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    feed = watch.Feed(shell.desk)
    shell.desk.approve("T5")
    monkeypatch.setattr(shell.desk, "tasks", None)
    feed.follow()
    assert next(task for task in feed.board().tasks if task.id == "T5").state == "merging"


def test_a_halt_and_a_loss_are_on_the_board(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "_PAUSE", 0.0)
    feed = watch.Feed(shell.desk)
    shell.desk.halt(Reach.FLEET, "", "the agents loop")
    feed.follow()
    assert "HALTED by ann" in "\n".join(drawn(feed.board(), 80, 24))

    def lost(*_: object, **__: object) -> None:
        raise UnreachableError("Redis cannot be reached.")

    monkeypatch.setattr(shell.desk, "events", lost)
    feed.follow()
    assert "Redis cannot be reached. Trying again." in "\n".join(drawn(feed.board(), 80, 24))
