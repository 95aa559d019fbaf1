"""Reads the environment: the one module that may."""

from __future__ import annotations

import os
import re
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT_LEASE_SECONDS = 20.0
DEFAULT_SLOTS = 4
_HOST_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")


def inherited_environment() -> dict[str, str]:
    """Copy the environment that this process was started with, for the processes that it starts."""
    return dict(os.environ)


def colourless() -> bool:
    """Tell whether a person asked for output without colours (NO_COLOR, see https://no-color.org)."""
    return bool(os.environ.get("NO_COLOR"))


@dataclass(frozen=True, slots=True)
class Settings:
    """What the environment says. Every name is listed in docs/configuration.md.

    Args:
        redis_url: The fleet's Redis (SHOPFLOOR_REDIS_URL); None where the checkout's own fleet is meant.
        api_url: The fleet's API (SHOPFLOOR_API_URL), instead of Redis.
        token: The API's token (SHOPFLOOR_TOKEN).
        state_home: Where Shopfloor keeps state on this machine (XDG_STATE_HOME, else ~/.local/state), /shopfloor.
        state: Where one fleet keeps its state on this host (SHOPFLOOR_STATE); None outside of a fleet's processes.
        host: This host's name in the fleet (SHOPFLOOR_HOST, else the machine's).
        slots: How many attempts run at once on this host (SHOPFLOOR_SLOTS).
        capabilities: What this host offers to tasks that need it (SHOPFLOOR_CAPABILITIES, comma-separated).
        lease_seconds: How long a lease lasts that is not renewed (SHOPFLOOR_LEASE_SECONDS).
        log_format: `json` or `console` (SHOPFLOOR_LOG_FORMAT); None: console on a terminal, else json.
        sentry_dsn: Where errors are reported (SENTRY_DSN); None: nowhere.
        ready_file: What a worker makes when it takes messages (SHOPFLOOR_READY_FILE); None: nothing.
        user: Who gives commands here, for the events.
        search_path: PATH, handed to agents and gates.
        debug: Whether a fault of our own shows where it arose (SHOPFLOOR_DEBUG).
    """

    redis_url: str | None
    api_url: str | None
    token: str | None
    state_home: Path
    state: Path | None
    host: str
    slots: int
    capabilities: tuple[str, ...]
    lease_seconds: float
    log_format: str | None
    sentry_dsn: str | None
    ready_file: Path | None
    user: str
    search_path: str
    debug: bool = False


def settings(environment: Mapping[str, str] | None = None) -> Settings:
    """Read the settings from an environment, this process's own where none is given.

    Raises:
        InputError: a variable holds what cannot be used; names it.
    """
    env = inherited_environment() if environment is None else environment
    home = Path(env.get("HOME") or Path.home())
    state_home = Path(env.get("XDG_STATE_HOME", ""))
    if not state_home.is_absolute():  # the XDG base directory specification: a relative one is to be ignored
        state_home = home / ".local" / "state"
    host = checked_host(env.get("SHOPFLOOR_HOST") or socket.gethostname(), "SHOPFLOOR_HOST")
    log_format = env.get("SHOPFLOOR_LOG_FORMAT") or None
    if log_format not in (None, "json", "console"):
        raise InputError(f"SHOPFLOOR_LOG_FORMAT is '{log_format}'.", "Set it to json or console, or leave it out.")
    return Settings(
        redis_url=env.get("SHOPFLOOR_REDIS_URL") or None,
        api_url=(env.get("SHOPFLOOR_API_URL") or "").rstrip("/") or None,
        token=env.get("SHOPFLOOR_TOKEN") or None,
        state_home=state_home / "shopfloor",
        state=Path(env["SHOPFLOOR_STATE"]).absolute() if env.get("SHOPFLOOR_STATE") else None,
        host=host,
        slots=int(_number(env, "SHOPFLOOR_SLOTS", DEFAULT_SLOTS, low=1, high=1000)),
        capabilities=tuple(part.strip() for part in env.get("SHOPFLOOR_CAPABILITIES", "").split(",") if part.strip()),
        lease_seconds=_number(env, "SHOPFLOOR_LEASE_SECONDS", DEFAULT_LEASE_SECONDS, low=1, high=3600),
        log_format=log_format,
        sentry_dsn=env.get("SENTRY_DSN") or None,
        ready_file=Path(env["SHOPFLOOR_READY_FILE"]) if env.get("SHOPFLOOR_READY_FILE") else None,
        user=env.get("USER") or env.get("LOGNAME") or "somebody",
        search_path=env.get("PATH", os.defpath),
        debug=env.get("SHOPFLOOR_DEBUG", "") not in ("", "0"),
    )


def checked_host(name: str, source: str) -> str:
    """Return a host's name as it is, if it can be used.

    Raises:
        InputError: It cannot; says where it came from.
    """
    if not _HOST_NAME.fullmatch(name):
        raise InputError(f"{source} is '{name}'.", "Use letters, digits, dots, dashes, at most 63 of them.")
    return name


def _number(env: Mapping[str, str], name: str, default: float, *, low: float, high: float) -> float:
    text = env.get(name) or str(default)
    try:
        value = float(text)
    except ValueError:
        value = low - 1
    if not low <= value <= high:
        raise InputError(f"{name} is '{text}'.", f"Set it to a number from {low} to {high}, or leave it out.")
    return value
