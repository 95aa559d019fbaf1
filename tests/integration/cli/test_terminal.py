"""What a terminal is given: colours, no foreign escapes, a board that leaves no trace."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
from typing import TYPE_CHECKING

import pytest

from orchestrator.store import LogChunk
from tests.helpers.tasks import submit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.stores.redis import RedisStore
    from tests.integration.cli.conftest import Terminal

_PATIENCE = 30.0
_OWN = re.compile(r"\x1b\[[0-9;]*m")  # colours, which are ours


class Screen:
    """A pseudo-terminal of 80 columns and 24 lines with a command on it."""

    def __init__(self, terminal: Terminal, *arguments: str, **environment: str) -> None:
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        told = {"TERM": "xterm-256color", **environment}
        kept = {
            name: text for name, text in terminal.environment.items() if name not in ("COLUMNS", "LINES", "NO_COLOR")
        }
        self.child = subprocess.Popen(
            terminal.argv(*arguments),
            cwd=terminal.directory,
            env={**kept, **told},
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509 - Ctrl-C reaches only a terminal's own session
        )
        os.close(slave)
        self.shown = ""

    def until(self, words: str) -> None:
        """Read until the screen has shown some words."""
        while words not in self.shown:
            piece = self._read()
            assert piece, f"{words!r} never came; shown was {self.shown!r}"
            self.shown += piece

    def rest(self) -> str:
        """Read until the command has ended."""
        while piece := self._read():
            self.shown += piece
        self.child.wait(_PATIENCE)
        return self.shown

    def press(self, keys: bytes) -> None:
        """Press keys."""
        os.write(self._master, keys)

    def close(self) -> None:
        """End the command."""
        self.child.kill()
        self.child.wait()
        os.close(self._master)

    def _read(self) -> str:
        try:
            return os.read(self._master, 65536).decode("utf-8", "replace")
        except OSError:  # how Linux says that nobody holds the other end any more
            return ""


@pytest.fixture
def screens() -> Iterator[list[Screen]]:
    opened: list[Screen] = []
    yield opened
    for each in opened:
        each.close()


def test_a_table_fits_its_terminal_and_has_colours(
    store: RedisStore, terminal: Terminal, screens: list[Screen]
) -> None:
    submit(store, id="T1", repository="web-1", title="A title that is a good deal longer than eighty columns are " * 3)
    screens.append(Screen(terminal, "tasks"))
    shown = screens[0].rest()
    assert "\x1b[36m" in shown
    assert max(len(_OWN.sub("", each)) for each in shown.splitlines()) <= 80
    assert screens[0].child.returncode == 0


def test_no_colour_is_no_colour(store: RedisStore, terminal: Terminal, screens: list[Screen]) -> None:
    submit(store, id="T1", repository="web-1")
    for arguments in (["tasks"], ["events"], ["show", "T99"]):
        screens.append(Screen(terminal, *arguments, NO_COLOR="1"))
        assert not re.search(r"\x1b\[[0-9;]*3[0-9]m", screens[-1].rest())


def test_a_log_cannot_steer_the_terminal(store: RedisStore, terminal: Terminal, screens: list[Screen]) -> None:
    submit(store, id="T1", repository="web-1")
    for piece in (b"before \x1b]0;own", b"ed\x07\x1b[2J\x1b", b"[31mafter\rx\n"):
        store.append_log("T1", LogChunk("", 1, 1, "edit", piece))
    screens.append(Screen(terminal, "logs", "T1"))
    shown = screens[0].rest()
    assert "before after" in shown
    assert "owned" not in shown
    assert "\x1b[2J" not in shown


def test_the_live_board_shows_news_and_gives_the_screen_back(
    store: RedisStore, terminal: Terminal, screens: list[Screen]
) -> None:
    submit(store, id="T1", repository="web-1", title="First")
    screens.append(Screen(terminal, "watch"))
    board = screens[0]
    board.until("First")
    submit(store, id="T2", repository="web-1", title="Second")
    board.until("Second")
    board.press(b"\x03")
    shown = board.rest()
    assert board.child.returncode == 130
    assert "\x1b[?1049l" in shown
    assert "Traceback" not in shown
