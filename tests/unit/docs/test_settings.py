"""The pages list exactly the settings that the code reads, and the libraries that it asks for."""

from __future__ import annotations

import inspect
import re
import tomllib
from collections.abc import Iterator, Mapping

from orchestrator import config
from orchestrator.config import DEFAULT_LEASE_SECONDS, DEFAULT_SLOTS, settings
from tests.unit.docs.pages import ROOT, coded, page, rows
from workers import celeryconfig


class _Listening(Mapping[str, str]):
    """An environment that takes note of what it is asked for."""

    def __init__(self, values: dict[str, str]) -> None:
        self._values = values
        self.asked: set[str] = set()

    def __getitem__(self, name: str) -> str:
        self.asked.add(name)
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


def test_variables_are_those_that_are_read() -> None:
    environment = _Listening({})
    settings(environment)
    elsewhere = re.findall(r'os\.environ(?:\.get\(|\[)"(\w+)"', inspect.getsource(config))
    said = [coded(row[0]) for row in rows("docs/configuration.md", "Variables")]
    assert sorted(said) == sorted({*environment.asked, *elsewhere})


def test_defaults_are_those_of_the_code() -> None:
    said = {coded(row[0]): row[2] for row in rows("docs/configuration.md", "Variables")}
    assert said["SHOPFLOOR_SLOTS"] == f"`{DEFAULT_SLOTS}`"
    assert said["SHOPFLOOR_LEASE_SECONDS"] == f"`{DEFAULT_LEASE_SECONDS:g}`"


def test_celery_settings_are_each_explained() -> None:
    public = {
        name
        for name, value in vars(celeryconfig).items()
        if name.islower() and not name.startswith("_") and not callable(value) and name != "annotations"
    }
    assert {coded(row[0]) for row in rows("docs/architecture.md", "Celery's settings")} == public


def test_dependencies_are_each_explained() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    wanted = {re.split(r"[\[<>=;!~ ]", each)[0].lower() for each in project["dependencies"]}
    assert {coded(row[0]) for row in rows("docs/dependencies.md", "Libraries")} == wanted
    text = page("docs/dependencies.md")
    for each in project["optional-dependencies"]["dev"]:
        assert f"`{re.split(r'[<>=; ]', each)[0]}`" in text


def test_the_changelog_names_the_version() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert project["version"] in page("CHANGELOG.md")
