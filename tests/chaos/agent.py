"""The scripted agent of chaos runs: works as its task's body says, and keeps a log of its own while it lives.

Stands alone: it is copied into the repositories that it works on. One line as it begins, one every 50 ms, one at its
end, with the machine's monotonic clock. It adds the task's id to each of its paths, once however often it is started;
with ` unfinished` behind it in the first rounds, so that the gate sends it back.
"""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path
from typing import Any

_EVERY = 0.05


def main() -> None:
    """Do one step of a task."""
    environment = os.environ  # noqa: TID251 -- stands alone, and imports nothing of the product
    task = json.loads(Path(environment["SHOPFLOOR_TASK"]).read_text("utf-8"))
    plan = json.loads(task["body"])
    log = Path(environment["CHAOS_LOG"]) / f"{environment['CHAOS_HOST']}.jsonl"
    me = {
        "host": environment["CHAOS_HOST"],
        "pid": os.getpid(),
        "task": task["id"],
        "fence": int(Path.cwd().name.rpartition("-")[2]),
        "round": task["round"],
        "step": task["step"],
        "paths": plan["paths"],
    }
    _tell(log, "begin", me)
    if plan.get("tough"):
        _multiply()
    until = time.monotonic() + plan["seconds"]
    while time.monotonic() < until:
        time.sleep(_EVERY)
        _tell(log, "alive", me)
    for path in plan["paths"]:
        _work(Path(path), task["id"], unfinished=task["round"] <= plan["unfinished"])
    _tell(log, "end", me)


def _work(path: Path, name: str, *, unfinished: bool) -> None:
    kept = [line for line in path.read_text("utf-8").splitlines() if line.split()[:1] != [name]]
    mine = f"{name} unfinished" if unfinished else name
    path.write_text("\n".join([*kept, mine, ""]), "utf-8")


def _multiply() -> None:
    """Become three processes, the last of them in a session of its own and nobody's child, deaf to what can be."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    if os.fork() == 0:
        os.setsid()
        os.fork()
        time.sleep(600)
        os._exit(0)


def _tell(log: Path, what: str, me: dict[str, Any]) -> None:
    line = json.dumps({"what": what, "at": time.monotonic(), **me}) + "\n"
    descriptor = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    os.write(descriptor, line.encode())  # one write: lines of many agents never mix
    os.close(descriptor)


if __name__ == "__main__":
    main()
