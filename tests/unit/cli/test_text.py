"""Words and figures for a person, and text from outside."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.cli.text import Cleaner, age, amount, clean, line, listed, minutes, percent, span

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    "hostile",
    [
        "\x1b[2Jgood",
        "\x1b]0;owned\x07good",
        "\x1b]8;;http://evil\x1b\\good",
        "\x1b]52;c;ZXZpbA==\x07good",
        "\x1bcgood",
        "\x9b31mgood",
        "\x1bP1;2|evil\x1b\\good",
        "go\x08od"[:2] + "od",
        "\u202egood\u202c",
        "go\x00od",
        "good\x1b[",
    ],
)
def test_nothing_that_steers_a_terminal_is_left(hostile: str) -> None:
    assert clean(hostile).strip("[") == "good"


def test_a_carriage_return_cannot_overwrite_a_line() -> None:
    assert clean("secret\rpublic\r\nnext\n") == "secret\npublic\nnext\n"


def test_a_title_stays_on_one_line() -> None:
    assert line("one\ntwo\t three\x1b[31m ") == "one two three"


@given(st.text())
def test_what_was_cleaned_has_no_control_character(text: str) -> None:
    assert not any(char < " " and char not in "\n\t" for char in clean(text))
    assert "\x1b" not in clean(text)
    assert "\x9b" not in clean(text)


@given(st.integers(0, 30))
def test_a_sequence_cut_in_two_is_left_out_all_the_same(cut: int) -> None:
    text = "one \x1b[38;5;196mtwo\x1b[0m\r\nthree\x1b]0;t\x07\n"
    cleaner = Cleaner()
    assert cleaner.feed(text[:cut]) + cleaner.feed(text[cut:]) == "one two\nthree\n"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(-1, "0.0 s"), (0.25, "0.2 s"), (41, "41 s"), (60, "1 min"), (3600 * 3 + 300, "3 h 05 min"), (86400 * 4, "4 d")],
)
def test_a_length_of_time_is_told_in_its_largest_units(seconds: float, words: str) -> None:
    assert span(seconds) == words


@pytest.mark.parametrize(
    ("back", "word"), [(0, "now"), (41, "41s"), (61, "1m"), (3599, "59m"), (7200, "2h"), (90_000, "1d"), (-5, "now")]
)
def test_an_age_is_one_word(back: int, word: str) -> None:
    assert age(NOW - timedelta(seconds=back), NOW) == word


def test_figures_are_as_short_as_they_can_be_read() -> None:
    assert [amount(each) for each in (0, 950, 12_400, 200_000, 1_200_000)] == ["0", "950", "12.4k", "200k", "1.2M"]
    assert [minutes(each) for each in (0.42, 4.0, 18.5)] == ["0.4", "4", "18"]
    assert (percent(None), percent(0.924)) == ("-", "92%")
    assert listed(["T1", "T2", "T3"]) == "T1, T2 and T3"
