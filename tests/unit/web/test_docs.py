"""docs/api.md and docs/ci.md: every way of the API is there, and every example can be used."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml
from pydantic import TypeAdapter

from orchestrator.cli.submit import submit
from orchestrator.views import ERROR_CODES
from orchestrator.web.app import create_app
from orchestrator.web.bodies import Work
from tests.helpers.floors import make_floor

DOCS = Path(__file__).parents[3] / "docs"
API = (DOCS / "api.md").read_text("utf-8")
CI = (DOCS / "ci.md").read_text("utf-8")


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def test_every_way_of_the_api_is_described_and_no_other(tmp_path: Path) -> None:
    paths = create_app(make_floor(tmp_path), tmp_path / "tokens.json").openapi()["paths"]
    ways = {f"{method.upper()} {path}" for path, methods in paths.items() for method in methods}
    assert set(re.findall(r"^#+ ((?:GET|POST) /\S+)$", API, re.MULTILINE)) == ways


def test_every_code_of_an_error_is_described() -> None:
    assert {code for code in ERROR_CODES if f"`{code}`" not in API} == set()


@pytest.mark.parametrize("text", blocks(API, "json"))
def test_an_answer_of_the_guide_is_json(text: str) -> None:
    json.loads(text)


@pytest.mark.parametrize("text", [block for block in blocks(API + CI, "sh") if "/v1/tasks" in block and "'{" in block])
def test_a_submission_of_the_guides_would_be_taken(text: str) -> None:
    [body] = re.findall(r"'(\{.*\})'", text, re.DOTALL)
    TypeAdapter(Work).validate_json(body)


@pytest.mark.parametrize("text", blocks(CI, "yaml"))
def test_a_ci_job_of_the_guide_is_yaml_that_submits(text: str) -> None:
    document = yaml.safe_load(text)
    script = json.dumps(document)
    assert "/v1/tasks" in script or "shopfloor submit" in script
    assert "SHOPFLOOR_TOKEN" in script or "shopfloor submit" in script


def test_the_guide_has_each_ci_both_ways() -> None:
    jobs = blocks(CI, "yaml")
    assert [("runs-on" in job, "curl --fail" in job) for job in jobs] == [
        (True, True),
        (True, False),
        (False, True),
        (False, False),
    ]


def test_the_guides_options_are_the_commands_options() -> None:
    known = {option for param in submit.params for option in param.opts}
    used = {
        option for call in re.findall(r"shopfloor submit ([^`\n]*)", CI) for option in re.findall(r"--[a-z-]+", call)
    }
    assert used - known == set()
