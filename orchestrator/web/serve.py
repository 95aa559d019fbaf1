"""Runs the API: `python -m orchestrator.web.serve --port N [--bind 127.0.0.1]`, as `shopfloor up` starts it."""

from __future__ import annotations

import errno
import signal
import socket
import sys
from typing import TYPE_CHECKING, Never

import click
import uvicorn

from orchestrator.bootstrap import open_floor
from orchestrator.config import settings
from orchestrator.errors import SetupError, ShopfloorError
from orchestrator.logs import configure
from orchestrator.tokens import TOKENS_FILE
from orchestrator.web.app import create_app

if TYPE_CHECKING:
    from types import FrameType

    from fastapi import FastAPI

    from orchestrator.config import Settings
    from orchestrator.web.waits import Waits

_GRACE = 2  # seconds that a request has to end by itself when the server stops
_BACKLOG = 512


def listen(bind: str, port: int) -> socket.socket:
    """Open the port, before anything else is done.

    Args:
        bind: An address of this machine.
        port: A port; 0 for any that is free.

    Raises:
        SetupError: The port is taken, or the address is not this machine's.
    """
    family = socket.AF_INET6 if ":" in bind else socket.AF_INET
    try:
        return socket.create_server((bind, port), family=family, backlog=_BACKLOG)
    except OSError as error:
        why = "is taken" if error.errno == errno.EADDRINUSE else f"cannot be opened: {error.strerror}"
        raise SetupError(f"The port {port} of {bind} {why}.", "Choose another with --port or --bind.") from error


class Server(uvicorn.Server):
    """A server that ends within about a second of SIGTERM, whoever still follows the fleet."""

    def __init__(self, app: FastAPI) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                log_config=None,  # the root logger has our format already
                access_log=False,  # the fleet's events say what was asked for, and by whom
                server_header=False,
                timeout_graceful_shutdown=_GRACE,
            )
        )
        self._waits: Waits = app.state.waits

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End the waits, so that what waits is answered; then stop."""
        self._waits.end()
        await super().shutdown(sockets)


def serve(said: Settings, bind: str, port: int) -> None:
    """Serve the API of the fleet that the settings name, until SIGTERM or SIGINT.

    Raises:
        SetupError: SHOPFLOOR_STATE is not set, or the port is taken.
        UnreachableError: The settings name no fleet.
    """
    if said.state is None:
        raise SetupError("SHOPFLOOR_STATE is not set.", "Start the API with `shopfloor up`, or set it.")
    with listen(bind, port) as listener:
        Server(create_app(open_floor(said), said.state / TOKENS_FILE)).run(sockets=[listener])


@click.command(help=__doc__)
@click.option("--port", type=click.IntRange(0, 65535), required=True, help="The port; 0 for any that is free.")
@click.option("--bind", default="127.0.0.1", show_default=True, help="The address that is listened on.")
def main(port: int, bind: str) -> None:
    """Serve until told to stop; exit 0 then."""
    # uvicorn takes these over while it serves, and raises what it caught once more when it has ended.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _leave)
    try:
        said = settings()
        configure(said)
        serve(said, bind, port)
    except ShopfloorError as error:
        click.echo(str(error), err=True)
        sys.exit(error.exit_code)


def _leave(_number: int, _frame: FrameType | None) -> Never:
    sys.exit(0)


if __name__ == "__main__":
    main()
