"""docs/architecture.md shows the house as it is: every module and folder of the top, and none that is not there."""

from __future__ import annotations

import re

import pytest

from tests.unit.docs.pages import ROOT, blocks, page

HOUSES = ("blueprints", "orchestrator", "workers")


def _shown(house: str) -> set[str]:
    """The names of modules and folders that the drawing has for one house."""
    drawing = re.search(r"^```\n(blueprints/.*?)^```", page("docs/architecture.md"), re.MULTILINE | re.DOTALL)
    assert drawing
    _, _, behind = f"\n{drawing[1]}".partition(f"\n{house}/")
    part = re.split(r"^\w", behind, maxsplit=1, flags=re.MULTILINE)[0]
    named = (line.strip().split("    ")[0] for line in part.splitlines()[1:])
    return {name for names in named for name in re.findall(r"(?:^|\s)(\w+\.py|\w+/)(?=\s|$|\*)", names)}


def _there(house: str) -> set[str]:
    paths = [path for path in (ROOT / house).iterdir() if not path.name.startswith("_")]
    modules = {path.name for path in paths if path.suffix == ".py"}
    return modules | {f"{path.name}/" for path in paths if path.is_dir() and (path / "__init__.py").exists()}


@pytest.mark.parametrize("house", HOUSES)
def test_the_drawing_has_every_module_and_no_other(house: str) -> None:
    assert _shown(house) - {"library/"} == _there(house)


def test_functions_that_the_pages_name_are_there() -> None:
    sources = "\n".join(path.read_text("utf-8") for house in HOUSES for path in (ROOT / house).rglob("*.py"))
    for name in re.findall(r"`(?:\w+\.)+(\w+)`", page("docs/architecture.md")):
        assert re.search(rf"\b{name}\b", sources), name
    assert blocks("docs/architecture.md", "mermaid")
