"""Reads what the project's own pages say: tables, links, headings, blocks of code."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[3]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("**/*.md")])

_CODE = re.compile(r"^(```|~~~).*?^\1\s*$|`[^`\n]*`", re.MULTILINE | re.DOTALL)
_FENCED = re.compile(r"^```.*?^```\s*$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#{1,6} +(.+?)\s*$", re.MULTILINE)
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```\s*$", re.MULTILINE | re.DOTALL)


def page(name: str) -> str:
    """The text of a page, by its path from the root of the repository."""
    return (ROOT / name).read_text("utf-8")


def rows(name: str, heading: str, table: int = 0) -> list[list[str]]:
    """The rows of a table below a heading, without its head; cells as written, stripped.

    Args:
        name: The page.
        heading: The heading's text.
        table: Which of the tables of that section, from 0.
    """
    _, _, behind = re.sub(_FENCED, "", page(name)).partition(f"# {heading}\n")
    assert behind, f"{name} has no heading '{heading}'"
    section = re.split(r"^#{1,6} ", behind, maxsplit=1, flags=re.MULTILINE)[0]
    tables = re.findall(r"(?:^\|.*\n)+", section, re.MULTILINE)
    return [[cell.strip() for cell in line.strip().strip("|").split("|")] for line in tables[table].splitlines()[2:]]


def coded(cell: str) -> str:
    """What stands between backticks, and nothing else does."""
    found = re.fullmatch(r"`([^`]+)`", cell)
    assert found, f"'{cell}' is not one word of code"
    return found[1]


def links(name: str) -> list[str]:
    """Where a page points to, code left out."""
    return _LINK.findall(_CODE.sub("", page(name)))


def anchors(name: str) -> set[str]:
    """The names that headings of a page can be pointed to by, as GitHub makes them."""
    text = re.sub(_FENCED, "", page(name))
    plain = (re.sub(r"[`*]", "", heading).lower() for heading in _HEADING.findall(text))
    return {re.sub(r"[^\w\- ]", "", heading).replace(" ", "-") for heading in plain}


def blocks(name: str, language: str) -> list[str]:
    """The blocks of code of one language."""
    return [text for kind, text in _BLOCK.findall(page(name)) if kind == language]
