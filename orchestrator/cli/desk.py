"""Finds the fleet that a command speaks to: the one that the environment names, else the checkout's own."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from orchestrator.config import settings
from orchestrator.errors import InputError, NotFoundError, UnreachableError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from orchestrator.config import Settings
    from orchestrator.desk import Desk
    from orchestrator.domain.repository import Repository


def _nothing() -> None:
    pass


@dataclass(frozen=True)
class Access:
    """The way to a fleet.

    Args:
        desk: What can be asked of it.
        checkout: The directory that the command was given in; None where no checkout counts.
        register: Makes a repository known to the fleet; None where only the fleet's own hosts may.
        close: Gives back connections.
    """

    desk: Desk
    checkout: Path | None = None
    register: Callable[[Repository], None] | None = None
    close: Callable[[], None] = _nothing


def open_access(checkout: Path) -> Access:
    """Open the way to the fleet of a checkout, or to the one that the environment names.

    Raises:
        UnreachableError: it does not run, or does not answer.
        InputError: the environment names none, and the path is in no checkout.
    """
    said = settings()
    if said.api_url:
        from orchestrator.desks.remote import RemoteDesk  # noqa: PLC0415 - an HTTP client, for this way only

        if not said.token:
            raise InputError(
                "SHOPFLOOR_API_URL is set, but SHOPFLOOR_TOKEN is not.",
                "Ask for a token of the fleet (`shopfloor token add NAME`), and set SHOPFLOOR_TOKEN to it.",
            )
        remote = RemoteDesk(said.api_url, said.token)
        return Access(remote, checkout, close=remote.close)
    return _direct(said if said.redis_url and said.state else _local(checkout, said), checkout)


def _local(checkout: Path, said: Settings) -> Settings:
    """The settings of the fleet's own processes on this machine."""
    from orchestrator.place import find_fleet  # noqa: PLC0415 - looks at the checkout by git

    try:
        fleet = find_fleet(checkout, said)
    except InputError as error:
        raise InputError(
            error.message, "Run this in a git checkout, or name a fleet by SHOPFLOOR_API_URL or SHOPFLOOR_REDIS_URL."
        ) from error
    if fleet.redis_url is None:
        raise UnreachableError("No fleet is running for this checkout.", "Start one with `shopfloor up`.")
    return replace(said, redis_url=fleet.redis_url, state=fleet.state)


def _direct(local: Settings, checkout: Path) -> Access:
    from orchestrator.bootstrap import open_floor  # noqa: PLC0415 - Redis and the broker, for this way only
    from orchestrator.desks.direct import DirectDesk  # noqa: PLC0415 - the same
    from orchestrator.place import register_repository  # noqa: PLC0415 - the same

    floor = open_floor(local)
    floor.store.ping()
    desk = DirectDesk(floor, who=local.user)
    return Access(desk, checkout, lambda repository: register_repository(floor.store, repository))


def choose_repository(access: Access, named: str | None) -> Repository:
    """Say which repository a command means: the one named, else the checkout's, else the fleet's only one.

    Raises:
        NotFoundError: the fleet knows no repository of that id or name, or not that of the checkout.
        InputError: none is named, and it is not plain which is meant; or the checkout cannot be used.
    """
    known = access.desk.repositories()
    if named is not None:
        return named_repository(known, named)
    own = _own(access, known)
    if own is None and not known:
        raise InputError(
            "The fleet knows no repository yet.",
            "Give the command in a checkout of one, with SHOPFLOOR_REDIS_URL set; that makes it known.",
        )
    if own is None:
        listed = ", ".join(each.id for each in known)
        raise InputError(
            "It is not plain which repository is meant.", f"Name one with --repository; the fleet has: {listed}."
        )
    if own in known:
        return own
    if access.register is not None:
        access.register(own)
        return own
    same = next((each for each in known if each.id == own.id), None)
    if same is None:
        raise NotFoundError(
            f"The fleet does not know the repository of this checkout, {own.name}.",
            "Run `shopfloor blueprints` in a checkout of it on a host of the fleet, with SHOPFLOOR_REDIS_URL set; "
            "or name another with --repository.",
        )
    return same


def named_repository(known: list[Repository], named: str) -> Repository:
    """Find a repository by its id, or by a name that only one of them has.

    Raises:
        NotFoundError: there is none.
        InputError: several have that name.
    """
    fitting = [each for each in known if each.id == named] or [each for each in known if each.name == named]
    if len(fitting) == 1:
        return fitting[0]
    listed = ", ".join(each.id for each in known) or "none"
    if fitting:
        raise InputError(f"{len(fitting)} repositories are named '{named}'.", f"Give the id; there are: {listed}.")
    raise NotFoundError(f"The fleet knows no repository '{named}'.", f"It knows: {listed}.")


def _own(access: Access, known: list[Repository]) -> Repository | None:
    """The checkout's repository; where the command was given in none, the fleet's only one."""
    from orchestrator.checkout import find_checkout  # noqa: PLC0415 - looks at the checkout by git
    from orchestrator.place import repository_of  # noqa: PLC0415 - the same

    only = known[0] if len(known) == 1 else None
    if access.checkout is None:
        return only
    try:
        find_checkout(access.checkout)
    except InputError:
        return only
    return repository_of(access.checkout, settings())
