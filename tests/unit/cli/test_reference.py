"""docs/cli.md says what the commands say."""

from __future__ import annotations

from pathlib import Path

from orchestrator.cli.reference import reference

PAGE = Path(__file__).parents[3] / "docs" / "cli.md"


def test_the_page_is_what_the_commands_say() -> None:
    assert PAGE.read_text("utf-8") == reference(), "run: python -m orchestrator.cli.reference > docs/cli.md"
