"""What an operator sees from outside: Flower's list of steps, and errors in Sentry."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

import workers
from orchestrator.config import inherited_environment
from tests.e2e.project import Project
from tests.helpers.fleet import PATIENCE, Fleet, Worker
from tests.helpers.servers import free_port
from tests.helpers.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.conftest import MakeProject


@pytest.mark.xdist_group("fleet")
def test_flower_lists_the_steps_of_a_task_by_readable_names(make_project: MakeProject, fleet: Fleet) -> None:
    port = free_port()
    words = ("flower", "--address=127.0.0.1", f"--port={port}")
    flower = Worker("flower", fleet.directory, words, {**fleet.environment, "FLOWER_UNAUTHENTICATED_API": "true"})
    flower.start()
    try:
        eventually(lambda: _seen(port), "Flower sees the reconciler", PATIENCE)
        task = make_project().land("echo x > a.txt")
        names = [f"{task.id}.f{task.fence}.{each}" for each in ("r0.prepare", "r1.edit", "r1.test", "r1.publish")]
        seen = eventually(lambda: (now := _seen(port)).keys() >= set(names) and now, f"Flower lists {names}", 30)
        assert seen
        assert [seen[name] for name in names] == [
            "shopfloor.prepare",
            "shopfloor.agent",
            "shopfloor.gate",
            "shopfloor.publish",
        ]
        page = httpx.get(f"http://127.0.0.1:{port}/task/{names[1]}", timeout=30)
        assert page.status_code == httpx.codes.OK
        assert names[1] in page.text
    finally:
        flower.stop()


def _seen(port: int) -> dict[str, str]:
    """The names of the messages that Flower knows, by their ids; nothing while it does not answer."""
    try:
        listed = httpx.get(f"http://127.0.0.1:{port}/api/tasks", timeout=30).json()
    except httpx.TransportError:
        return {}
    return {ident: str(each["name"]) for ident, each in listed.items() if each["name"]}


@pytest.mark.xdist_group("own")
def test_an_error_reaches_sentry_with_what_it_is_about(tmp_path: Path) -> None:
    with _sentry() as (dsn, reports):
        fleet = Fleet(tmp_path, slots=1, environment={"SENTRY_DSN": dsn})
        try:
            fleet.start()
            project = Project(fleet, tmp_path / "project", "project")
            task = project.submit(f"touch {project.outside}/begun; {project.until('go')}; echo x > a.txt")
            eventually((project.outside / "begun").exists, "the agent works", PATIENCE)
            fence = fleet.floor.store.task(task.id).fence
            (fleet.state / "workspaces" / "records" / f"{task.id}-{fence}" / "index").unlink()
            project.tell("go")
            landed = project.landed(task)
            report = eventually(lambda: next(iter(reports), None), "a report", 30)
        finally:
            fleet.kill()
    assert report is not None
    assert landed.attempt == 2
    tags = report["tags"]
    assert {name: tags[name] for name in ("task", "blueprint", "step", "host", "fence")} == {
        "task": task.id,
        "blueprint": task.blueprint,
        "step": "edit",
        "host": Fleet.HOST,
        "fence": str(fence),
    }


def test_without_a_dsn_nothing_of_sentry_is_even_loaded() -> None:
    code = (
        "import sys; import workers.steps, workers.control; from workers.app import _report_errors; _report_errors();"
        "sys.exit('sentry_sdk' in sys.modules)"
    )
    kept = {name: value for name, value in inherited_environment().items() if not name.startswith("SENTRY_")}
    root = str(Path(workers.__file__).parent.parent)
    told = {**kept, "SHOPFLOOR_REDIS_URL": "redis://127.0.0.1:1/0", "PYTHONPATH": root}
    subprocess.run([sys.executable, "-c", code], env=told, check=True)


@contextmanager
def _sentry() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """A server that takes reports as Sentry does; gives its DSN and what has come."""
    reports: list[dict[str, Any]] = []

    class Intake(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            reports.extend(_errors(body))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Intake) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://public@127.0.0.1:{server.server_address[1]}/1", reports
        finally:
            server.shutdown()
            thread.join()


def _errors(envelope: bytes) -> list[dict[str, Any]]:
    """The error events in an envelope: a line of JSON for its head, then one for each item's head and its content."""
    lines = envelope.split(b"\n")[1:]
    pairs = zip(lines[::2], lines[1::2], strict=False)
    return [json.loads(content) for head, content in pairs if head and json.loads(head).get("type") == "event"]
