"""What the harness writes down while a run goes on, for the checker."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import redis

if TYPE_CHECKING:
    from pathlib import Path


class Record:
    """The files of a run's directory.

    Args:
        root: The directory.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def add(self, name: str, **fields: Any) -> None:  # noqa: ANN401 - JSON values
        """Add a line to a file."""
        with (self.root / f"{name}.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(fields) + "\n")

    def close(self, url: str, **facts: Any) -> None:  # noqa: ANN401 - as above
        """Write the events as they stand in Redis, and the facts of the run."""
        with redis.Redis.from_url(url, protocol=2) as client, (self.root / "events.jsonl").open("w") as file:
            for entry, fields in client.xrange("shopfloor:events"):
                seq = int(entry.decode().split("-")[0])
                file.write(json.dumps({"seq": seq, **json.loads(fields[b"e"])}) + "\n")
        (self.root / "run.json").write_text(json.dumps(facts, indent=1), "utf-8")


class Span:
    """When something began and ended, by both clocks."""

    def __init__(self) -> None:
        self.begin, self.wall = time.monotonic(), time.time()

    def ended(self) -> dict[str, float]:
        """The fields of a record."""
        return {"begin": self.begin, "end": time.monotonic(), "wall": self.wall, "wall_end": time.time()}
