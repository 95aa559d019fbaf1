"""Whatever a page points to in the repository is there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import yaml

from tests.unit.docs.pages import PAGES, ROOT, anchors, blocks, links

if TYPE_CHECKING:
    from pathlib import Path

NAMES = [str(path.relative_to(ROOT)) for path in PAGES]


@pytest.mark.parametrize("name", NAMES)
def test_links_lead_somewhere(name: str) -> None:
    here = (ROOT / name).parent
    inner = [link for link in links(name) if "://" not in link and not link.startswith("mailto:")]
    assert [link for link in inner if not _leads_somewhere(name, here, link)] == []


def _leads_somewhere(name: str, here: Path, link: str) -> bool:
    path, _, anchor = link.partition("#")
    goal = (here / path).resolve() if path else ROOT / name
    if not goal.exists():
        return False
    return not anchor or goal.suffix != ".md" or anchor in anchors(str(goal.relative_to(ROOT)))


@pytest.mark.parametrize("name", NAMES)
def test_examples_in_yaml_can_be_read(name: str) -> None:
    for text in blocks(name, "yaml"):
        yaml.safe_load(text)
