"""Celery workers for the benchmark: started alike for every contestant, and asked for the processor time they used."""

from __future__ import annotations

import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from orchestrator.config import inherited_environment
from tests.helpers.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Mapping

_READY_SECONDS = 60.0
_STOP_SECONDS = 20.0
_ROOT = Path(__file__).parents[2]


class Workers:
    """The processes of one contestant.

    Args:
        app: The module of its Celery application.
        directory: Where its logs are written.
        environment: What its processes are told, besides what is inherited.
    """

    def __init__(self, app: str, directory: Path, environment: Mapping[str, str]) -> None:
        self._app = app
        self._directory = directory
        self._environment = environment
        self._children: list[subprocess.Popen[bytes]] = []

    def start(self, name: str, queues: str, concurrency: int) -> None:
        """Start a worker with the settings that `shopfloor up` gives its own, and wait until it takes messages."""
        ready = self._directory / f"{name}.ready"
        words = ["worker", "--queues", queues, "--pool", "prefork", "--concurrency", str(concurrency)]
        words += ["--hostname", f"{name}@{self._app}", "--loglevel", "INFO"]
        words += ["--without-gossip", "--without-mingle", "--without-heartbeat"]
        self._spawn(name, words, {"SHOPFLOOR_READY_FILE": str(ready)})
        eventually(ready.exists, f"worker {name} of {self._app}, see {self._directory}", _READY_SECONDS)

    def start_beat(self) -> None:
        """Start the scheduler."""
        self._spawn("beat", ["beat", "--schedule", str(self._directory / "beat"), "--pidfile", ""], {})

    def cpu_seconds(self) -> float:
        """User and system time of all of them, with all that they started and that has ended."""
        total = 0.0
        for child in self._children:
            root = psutil.Process(child.pid)
            for process in (root, *root.children(recursive=True)):
                with suppress(psutil.NoSuchProcess):  # it has ended: now its parent counts it
                    times = process.cpu_times()
                    total += times.user + times.system + times.children_user + times.children_system
        return total

    def stop(self) -> None:
        """Stop them all."""
        for child in self._children:
            child.terminate()
        for child in self._children:
            try:
                child.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()

    def _spawn(self, name: str, words: list[str], told: Mapping[str, str]) -> None:
        inherited = inherited_environment()
        inherited.pop("PYTHONDONTWRITEBYTECODE", None)  # a developer's whim, by which every reaper is compiled anew
        environment = inherited | {"PYTHONUNBUFFERED": "1"} | dict(self._environment) | dict(told)
        with (self._directory / f"{name}.log").open("wb") as log:
            self._children.append(
                subprocess.Popen(
                    [sys.executable, "-m", "celery", "--app", self._app, *words],
                    cwd=_ROOT,
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                )
            )
