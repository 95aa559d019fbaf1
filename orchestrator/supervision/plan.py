"""Which programs a fleet is made of on this machine, and what each is told."""

from __future__ import annotations

import http.client
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import orchestrator
from orchestrator.courier import CONTROL_QUEUE, VERIFY_QUEUE, host_queue
from orchestrator.embedded import embedded, free_port, is_free
from orchestrator.supervision.child import Program

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from orchestrator.supervision.order import Order

API = "api"
BEAT = "beat"
CONTROL = "control"
FLOWER = "flower"
HOST = "host"
REDIS = "redis"

_FLOWER_PORT = 5555
_HOST_GRACE = 15.0  # seconds
_OTHERS_GRACE = 5.0  # seconds
_PROBE_SECONDS = 2.0
_OK = range(200, 400)


class Plan:
    """Makes the programs of an order.

    Args:
        order: What was asked for.
        environment: What the programs inherit.
        host_listed: Whether the fleet's state lists this host.
    """

    def __init__(self, order: Order, environment: Mapping[str, str], host_listed: Callable[[], bool]) -> None:
        self._order = order
        self._environment = environment
        self._host_listed = host_listed
        self._run = order.state / "run"

    def server(self, kept_url: str | None) -> Program:
        """The Redis-compatible server of the fleet's own, at the URL that it had or at another."""
        server = embedded(self._order.state, kept_url, self._environment.get("PATH", ""))
        server.configure()
        inherited = {name: value for name, value in self._environment.items() if not name.startswith("SHOPFLOOR_")}
        return Program(
            REDIS,
            server.argv,
            inherited,
            server.directory,
            ready=server.answers,
            url=server.url,
            otherwise=lambda: self.server(server.url),
        )

    def rest(self, redis_url: str) -> list[Program]:
        """Everything else; all of it may be started at once."""
        order = self._order
        if not order.control:
            return [self._worker(redis_url)]
        programs = [self._control(redis_url), self._worker(redis_url), self._beat(redis_url)]
        programs.append(self.api(redis_url, order.port or free_port()))
        if order.flower:
            programs.append(self._flower(redis_url, _FLOWER_PORT if is_free(_FLOWER_PORT) else free_port()))
        return programs

    def api(self, redis_url: str, port: int) -> Program:
        """The HTTP API and the board, on loopback."""
        program = self._python(API, redis_url, "orchestrator.web.serve", "--port", str(port))
        url = f"http://127.0.0.1:{port}"
        anew = None if self._order.port else lambda: self.api(redis_url, port if is_free(port) else free_port())
        return replace(program, url=url, ready=lambda: _answers(port, "/healthz"), otherwise=anew)

    def _control(self, redis_url: str) -> Program:
        return self._celery_worker(CONTROL, redis_url, CONTROL_QUEUE, 2)

    def _worker(self, redis_url: str) -> Program:
        order = self._order
        program = self._celery_worker(HOST, redis_url, f"{host_queue(order.host)},{VERIFY_QUEUE}", order.slots + 1)
        written = program.ready
        return replace(program, grace=_HOST_GRACE, ready=lambda: written() and self._host_listed())

    def _beat(self, redis_url: str) -> Program:
        schedule = self._run / "beat"
        return self._celery(BEAT, redis_url, "beat", "--schedule", str(schedule), "--pidfile", "", "--loglevel", "INFO")

    def _flower(self, redis_url: str, port: int) -> Program:
        program = self._celery(FLOWER, redis_url, "flower", "--address=127.0.0.1", f"--port={port}")
        return replace(program, url=f"http://127.0.0.1:{port}", ready=lambda: _answers(port, "/"))

    def _celery_worker(self, name: str, redis_url: str, queues: str, concurrency: int) -> Program:
        words = ["worker", "--queues", queues, "--pool", "prefork", "--concurrency", str(concurrency)]
        words += ["--hostname", f"{name}@{self._order.host}", "--loglevel", "INFO"]
        words += ["--without-gossip", "--without-mingle", "--without-heartbeat"]
        words += ["--task-events"] if self._order.flower else []
        program = self._celery(name, redis_url, *words)
        file = self._run / f"{name}.ready"
        told = {**program.environment, "SHOPFLOOR_READY_FILE": str(file), "REMAP_SIGTERM": "SIGQUIT"}
        return replace(program, environment=told, ready=file.exists, ready_file=file)

    def _celery(self, name: str, redis_url: str, *words: str) -> Program:
        return self._python(name, redis_url, "celery", "--app", "workers.app", *words)

    def _python(self, name: str, redis_url: str, module: str, *words: str) -> Program:
        order = self._order
        told = {
            **module_environment(self._environment),
            "SHOPFLOOR_REDIS_URL": redis_url,
            "SHOPFLOOR_STATE": str(order.state),
            "SHOPFLOOR_HOST": order.host,
            "SHOPFLOOR_SLOTS": str(order.slots),
            "SHOPFLOOR_CAPABILITIES": ",".join(order.capabilities),
        }
        argv = (sys.executable, "-P", "-m", module, *words)
        return Program(name, argv, told, self._run, grace=_OTHERS_GRACE)


def module_environment(inherited: Mapping[str, str]) -> dict[str, str]:
    """The environment in which a Python of ours finds our modules, wherever it is started."""
    ours = str(Path(orchestrator.__file__).parent.parent)
    left_out = ("SHOPFLOOR_API_URL", "SHOPFLOOR_TOKEN")
    kept = {name: value for name, value in inherited.items() if name not in left_out}
    path = ":".join(part for part in (ours, inherited.get("PYTHONPATH", "")) if part)
    return {**kept, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1"}


def _answers(port: int, path: str) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_PROBE_SECONDS)
    try:
        connection.request("GET", path)
        return connection.getresponse().status in _OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
