"""Brings a fleet up on this machine, and takes it down.

    run       in this process, until somebody asks to stop
    detach    the same in a process of its own; returns when tasks can be taken
    down      stops what either of them started

Run as a module, it is the process that `detach` starts: it reads an `Order` from standard input, tells of the start on
standard output, and gives up if standard input ends before tasks can be taken.
"""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from orchestrator.config import inherited_environment
from orchestrator.embedded import is_free
from orchestrator.errors import NotFoundError, RefusedError, SetupError, ShopfloorError
from orchestrator.place import Fleet, read_fleet, register_repository, write_fleet
from orchestrator.supervision.alarm import Alarm
from orchestrator.supervision.crew import Crew
from orchestrator.supervision.hold import Hold, holder, nothing_lives, presence
from orchestrator.supervision.order import Order, Summary
from orchestrator.supervision.plan import API, BEAT, CONTROL, FLOWER, HOST, REDIS, Plan, module_environment
from orchestrator.tokens import TOKENS_FILE, Role, add_token, remove_token

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from orchestrator.store import Store

START_SECONDS = 60.0
"""How long a fleet may take until tasks can be taken."""
STOP_SECONDS = 40.0
"""How long a fleet may take to stop when asked to; then it is killed."""
_KILL_SECONDS = 10.0
_POLL = 0.02  # seconds
_ORDER_OF_END = ((HOST,), (CONTROL, BEAT, API, FLOWER), (REDIS,))
_LOCAL = "local"
_UNWRITABLE = (
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EROFS,
    errno.EACCES,
    errno.EPERM,
    errno.ENOTDIR,
    errno.EEXIST,
    errno.ENAMETOOLONG,
)


def run(
    order: Order,
    tell: Callable[[str], None],
    ready: Callable[[Summary], None],
    given_up: int | None = None,
) -> bool:
    """Bring a fleet up, keep it up until somebody asks to stop (SIGINT, SIGTERM), and take it down.

    A process does this once.

    Args:
        order: What to start, and where.
        tell: Takes sentences about what happens.
        ready: Called once, when tasks can be taken.
        given_up: A descriptor that ends when whoever waits for the start is gone.

    Returns:
        Whether it came up.

    Raises:
        RefusedError: It is up already, or the API's port is taken.
        SetupError: A program does not come up, or the state directory cannot be written.
        UnreachableError: The configured Redis does not answer.
    """
    with ExitStack() as stack:
        stack.enter_context(_writing(order.state))
        alarm = stack.enter_context(Alarm(hangup_stops=given_up is None))
        hold = Hold(order.state)
        stack.callback(hold.release)
        _wait_for_remains(order.state)
        held = presence(order.state)  # never closed: `down` returns when this process is gone, too
        if order.control and order.port is not None and not is_free(order.port):
            raise RefusedError(f"Port {order.port} is taken.", "Name another with --port, or leave it out.")
        logs = order.state / "logs"
        logs.mkdir(exist_ok=True, mode=0o700)
        crew = Crew(logs, held, alarm, tell, given_up)
        stack.callback(_stop, crew, order)
        if not _start(crew, order, ready):
            return False
        crew.forget_waiter()
        crew.keep()
        tell("Stopping; agents at work have a few seconds to end.")
    return True


def detach(order: Order) -> Summary:
    """Bring a fleet up in a process of its own, and return when tasks can be taken.

    An interrupt before that, or the end of this process, leaves nothing running.

    Raises:
        ShopfloorError: As for `run`.
    """
    with _writing(order.state):
        (order.state / "logs").mkdir(parents=True, exist_ok=True, mode=0o700)
    with (order.state / "logs" / "supervisor.log").open("ab") as log:
        child = subprocess.Popen(
            [sys.executable, "-P", "-m", "orchestrator.supervisor"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            cwd=order.state,
            env=module_environment(inherited_environment()),
            start_new_session=True,
        )
    if child.stdin is None or child.stdout is None:
        raise AssertionError  # both are pipes
    try:
        with suppress(BrokenPipeError):  # it ended at once, which is seen below
            child.stdin.write(order.model_dump_json().encode() + b"\n")
            child.stdin.flush()
        answer = child.stdout.readline()
    except BaseException:
        child.terminate()
        child.wait()
        raise
    finally:
        child.stdout.close()
        with suppress(BrokenPipeError):
            child.stdin.close()
    notice = json.loads(answer or "{}")
    if "ready" in notice:
        return Summary.model_validate(notice["ready"])
    child.wait()
    if "failed" in notice:
        raise _ToldError(**notice["failed"])
    raise SetupError("The start was given up.", f"See {order.state / 'logs' / 'supervisor.log'}.")


def down(fleet: Fleet) -> list[int]:
    """Stop everything of a fleet that runs on this machine, further hosts first; harmless where nothing does.

    Returns:
        The process ids of what was stopped.

    Raises:
        RefusedError: Something does not end.
    """
    further = further_host(fleet, "")
    hosts = sorted(further.iterdir()) if further.is_dir() else []
    return [pid for state in (*hosts, fleet.state) if (pid := _down(state)) is not None]


def further_host(fleet: Fleet, host: str) -> Path:
    """The state directory of one more host of a fleet on this machine."""
    return fleet.state / "hosts" / host


@contextmanager
def _writing(state: Path) -> Iterator[None]:
    """Turn what keeps a state directory from being written into an error that names it."""
    try:
        yield
    except OSError as error:
        if error.errno not in _UNWRITABLE:
            raise
        raise SetupError(
            f"The state directory {state} cannot be written: {error.strerror}.",
            "Make room there and let this user write there, or name another place with XDG_STATE_HOME.",
        ) from error


def _start(crew: Crew, order: Order, ready: Callable[[Summary], None]) -> bool:
    """Start everything; False where somebody asked to stop meanwhile."""
    from orchestrator.stores.redis import RedisStore  # noqa: PLC0415 - `down` needs no client

    kept = read_fleet(order.name, order.state)
    fleet = kept.model_copy(update={"pid": os.getpid(), "host": order.host, "redis_url": None, "api_url": None})
    write_fleet(fleet)
    opened: list[Store] = []
    plan = Plan(order, inherited_environment(), lambda: bool(opened) and _lists(opened[0], order.host))
    redis_url = order.redis_url
    if redis_url is None:
        redis_url = _start_server(crew, plan, fleet.embedded_url)
        if redis_url is None:
            return False
        fleet = fleet.model_copy(update={"embedded_url": redis_url})
        write_fleet(fleet)
    store = RedisStore(redis_url)
    try:
        store.ping()
        if order.repository is not None:
            register_repository(store, order.repository)
        opened.append(store)
        if not crew.start(plan.rest(redis_url), START_SECONDS):
            return False
    finally:
        store.close()
    urls = {"redis_url": redis_url, "api_url": crew.url_of(API)}
    write_fleet(fleet.model_copy(update={**urls, "token": fleet.token or _token(order) if order.control else None}))
    ready(Summary(pid=os.getpid(), api_url=crew.url_of(API), flower_url=crew.url_of(FLOWER)))
    return True


def _start_server(crew: Crew, plan: Plan, kept_url: str | None) -> str | None:
    """Start the fleet's own Redis; its URL, or None where somebody asked to stop meanwhile."""
    program = plan.server(kept_url)
    return crew.url_of(REDIS) if crew.start([program], START_SECONDS) else None


def _lists(store: Store, host: str) -> bool:
    return any(each.name == host for each in store.hosts())


def _token(order: Order) -> str:
    """Make the token of the local commands; one of an earlier record that was lost is worthless from now on."""
    path = order.state / TOKENS_FILE
    with suppress(NotFoundError):
        remove_token(path, _LOCAL)
    return add_token(path, _LOCAL, Role.ADMIN)


def _wait_for_remains(state: Path) -> None:
    """Wait until what an `up` that was killed had started is gone: its guards are at it."""
    deadline = time.monotonic() + _KILL_SECONDS
    while not nothing_lives(state):
        if time.monotonic() > deadline:
            raise RefusedError(
                f"Programs of an earlier `up` in {state} still run.", "Stop them first with: shopfloor down"
            )
        time.sleep(_POLL)


def _stop(crew: Crew, order: Order) -> None:
    for names in _ORDER_OF_END:
        crew.end(names)
    ended = read_fleet(order.name, order.state).model_copy(update={"pid": None, "redis_url": None, "api_url": None})
    with suppress(OSError):  # a full disk: whoever reads the record sees by its lock that nobody runs
        write_fleet(ended)


def _down(state: Path) -> int | None:
    """Stop what runs in one state directory; the process id of its `up`, None where there was none."""
    pid = holder(state)
    if pid is None and nothing_lives(state):
        return None
    if pid is not None:
        _send(pid, signal.SIGTERM)
        if not _gone(state, STOP_SECONDS):
            _send(pid, signal.SIGKILL)
    # Its guards see its end, and kill what is left.
    if not _gone(state, _KILL_SECONDS):
        raise RefusedError(f"What runs in {state} does not end (pid {pid}).", "See what holds it with: ps -ef")
    return pid


def _gone(state: Path, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while holder(state) is not None or not nothing_lives(state):
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL)
    return True


def _send(pid: int, number: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def _as_detached() -> int:
    """Be the process that `detach` starts."""
    order = Order.model_validate_json(sys.stdin.buffer.readline() or b"{}")
    output = sys.stdout

    def say(kind: str, what: object) -> None:
        with suppress(BrokenPipeError):  # nobody listens any more, which the end of standard input tells as well
            print(json.dumps({kind: what}), file=output, flush=True)

    def log(text: str) -> None:
        with suppress(OSError):  # the log's disk is full: to run on is worth more than to be told of
            sys.stderr.write(f"{datetime.now(UTC).isoformat(timespec='seconds')} {text}\n")
            sys.stderr.flush()

    try:
        came_up = run(order, log, lambda summary: say("ready", summary.model_dump()), given_up=sys.stdin.fileno())
    except ShopfloorError as error:
        log(str(error))
        say("failed", {"message": error.message, "remedy": error.remedy, "exit_code": error.exit_code})
        return error.exit_code
    return 0 if came_up else 1


class _ToldError(ShopfloorError):
    """An error of the detached process, told on."""

    def __init__(self, message: str, remedy: str, exit_code: int) -> None:
        super().__init__(message, remedy)
        self.exit_code = exit_code


if __name__ == "__main__":
    sys.exit(_as_detached())
