"""JSON Schemas of what the command line and the API print: `python -m orchestrator.schemas` writes `docs/schemas/`.

They are made from the models, so that they cannot say something else than the code; a test holds the files to it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.desk import HostView, Lock, TrainView
from orchestrator.domain.halt import Halt
from orchestrator.domain.task import Event, Task
from orchestrator.services.explain import Explanation
from orchestrator.services.figures import Figures
from orchestrator.views import BRIEF_LEAVES_OUT, EVENT_KEYS

if TYPE_CHECKING:
    from pydantic import BaseModel

Schema = dict[str, Any]

DIALECT = "https://json-schema.org/draft/2020-12/schema"
DIRECTORY = Path(__file__).parents[1] / "docs" / "schemas"
"""Where the schemas are kept, in a checkout of Shopfloor."""

_PLAIN: dict[str, type[BaseModel]] = {
    "explanation": Explanation,
    "figures": Figures,
    "halt": Halt,
    "host": HostView,
    "lock": Lock,
    "task": Task,
    "train": TrainView,
}


def schemas() -> dict[str, Schema]:
    """Every schema by its name, in the order of names."""
    made = {name: _schema(model) for name, model in _PLAIN.items()}
    made["event"] = _event()
    made["task-brief"] = _brief()
    return dict(sorted(made.items()))


def encode(schema: Schema) -> str:
    """The text of a schema's file."""
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def write(directory: Path = DIRECTORY) -> None:
    """Write every schema as `NAME.json`."""
    directory.mkdir(parents=True, exist_ok=True)
    for name, schema in schemas().items():
        (directory / f"{name}.json").write_text(encode(schema), encoding="utf-8")


def _schema(model: type[BaseModel]) -> Schema:
    return {"$schema": DIALECT, **model.model_json_schema(mode="serialization", by_alias=True)}


def _event() -> Schema:
    return {**_schema(Event), "required": list(EVENT_KEYS)}


def _brief() -> Schema:
    task = _schema(Task)
    kept = {name: shape for name, shape in task["properties"].items() if name not in BRIEF_LEAVES_OUT}
    shapes = {name: shape for name, shape in task["$defs"].items() if name not in {"StepRun", "StepState", "StepKind"}}
    required = [name for name in task["required"] if name not in BRIEF_LEAVES_OUT]
    return {**task, "title": "Task of a list", "properties": kept, "$defs": shapes, "required": required}


if __name__ == "__main__":
    write()
