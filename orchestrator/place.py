"""Where a fleet's state is, which fleet a checkout belongs to, and which repository a checkout is.

A fleet keeps its state on a machine in `<state_home>/fleets/<name>/`, and what others need in order to reach it in the
record `fleet.json` there, readable by its owner alone. Without a word in the environment, a checkout has a fleet of its
own, which the linked worktrees of one repository share. SHOPFLOOR_REDIS_URL or SHOPFLOOR_API_URL name another.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

from pydantic import BaseModel, ConfigDict, Field

from blueprints.errors import BlueprintError
from blueprints.policy import parse_policy
from orchestrator.checkout import Checkout, find_checkout
from orchestrator.domain.repository import Repository
from orchestrator.errors import InputError, NotFoundError, SetupError, UnreachableError
from orchestrator.git import Git, git_directory
from orchestrator.supervision.hold import holder

if TYPE_CHECKING:
    from orchestrator.config import Settings
    from orchestrator.store import Store

POLICY_FILE = ".shopfloor/repo.yaml"
_RECORD = "fleet.json"
_SLUG_MAX = 40
_SCP_LIKE = re.compile(r"(?:[^@/\s]+@)?(?P<host>[^:/\s]+):(?P<path>(?!//).+)")
_USUAL_PORTS = {"ssh": 22, "https": 443, "http": 80, "git": 9418, "redis": 6379, "rediss": 6379}


class Fleet(BaseModel):
    """A fleet as this machine knows it.

    Args:
        name: Its name on this machine, safe as a directory.
        state: Its state directory here; it need not exist yet.
        redis_url: Its Redis, password included; None where that is not known or does not run.
        embedded_url: The Redis that `up` starts for it; kept while it is stopped, so that it comes back at one URL.
        api_url: Its API; None where that is not known or does not run.
        token: What the local commands show to the API.
        host: The name under which this machine takes work.
        pid: The `up` that runs in `state`; None where none does.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    name: str
    state: Path = Field(exclude=True)
    redis_url: str | None = None
    embedded_url: str | None = None
    api_url: str | None = None
    token: str | None = Field(default=None, repr=False)
    host: str | None = None
    pid: int | None = None

    def redis(self) -> str:
        """The URL of its Redis.

        Raises:
            UnreachableError: it is not known, as after `shopfloor down`.
        """
        if self.redis_url is None:
            raise UnreachableError("No fleet runs for this checkout.", "Start one with: shopfloor up --detach")
        return self.redis_url


def find_fleet(path: Path, settings: Settings) -> Fleet:
    """Find the fleet that a command means.

    Args:
        path: A directory in a checkout; it is only looked at where the environment names no fleet.
        settings: What the environment says.

    Returns:
        The fleet, be it up or not.

    Raises:
        InputError: The environment names no fleet, and the path is in no checkout.
        SetupError: The fleet's record cannot be read.
    """
    if settings.state is not None:
        fleet = read_fleet(settings.state.name, settings.state)
    elif settings.redis_url is not None:
        fleet = _named(_name_of_url(settings.redis_url), settings)
    elif settings.api_url is not None:
        fleet = _named(_name_of_url(settings.api_url), settings)
    else:
        return _named(_name_of_checkout(find_checkout(path)), settings)
    said = {"redis_url": settings.redis_url, "api_url": settings.api_url, "token": settings.token}
    return fleet.model_copy(update={key: value for key, value in said.items() if value is not None})


def read_fleet(name: str, state: Path) -> Fleet:
    """Read a fleet's record; where there is none, a fleet of which only the name is known.

    What the record says of processes counts only while the `up` that wrote it runs.

    Raises:
        SetupError: The record is no record.
    """
    file = state / _RECORD
    try:
        document = file.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return Fleet(name=name, state=state, pid=holder(state))
    try:
        fleet = Fleet.model_validate({**json.loads(document), "name": name, "state": state})
    except (ValueError, TypeError) as error:
        raise SetupError(f"{file} is damaged.", "Delete it; the next `shopfloor up` writes it anew.") from error
    pid = holder(state)
    if pid is not None and pid == fleet.pid:
        return fleet
    return fleet.model_copy(update={"pid": pid, "redis_url": None, "api_url": None})


def write_fleet(fleet: Fleet) -> None:
    """Write a fleet's record, all at once and for its owner's eyes alone."""
    fleet.state.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = fleet.state / f".{_RECORD}.{os.getpid()}"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with open(descriptor, "w", encoding="utf-8") as file:  # noqa: PTH123 - a descriptor, made for its owner alone
            file.write(fleet.model_dump_json(indent=1))
        temporary.replace(fleet.state / _RECORD)
    finally:
        temporary.unlink(missing_ok=True)  # it is there still only where the disk is full


def repository_of(path: Path, settings: Settings) -> Repository:
    """Say which repository a checkout is of, so that every checkout of it, on any host, says the same.

    Its URL is that of the remote that the checkout's branch is pushed to, else of `origin`, else of its only one;
    without a remote, it is the path of the checkout itself.

    Raises:
        InputError: It is no checkout, has no commit, declares nothing, or its target branch is missing.
    """
    del settings  # the same for everybody; other sources than a checkout will need them
    checkout = find_checkout(path)
    if checkout.empty:
        raise InputError(
            f"The repository at {checkout.root} has no commit yet.",
            "Make a first one: git add -A && git commit -m 'Begin'",
        )
    home = _home(_shared(checkout.git_dir))
    url = checkout.remote_url or str(home)
    target = _declared_target(checkout)
    if checkout.remote_url is None and not _has_branch(checkout, target):
        raise InputError(
            f"The repository at {checkout.root} has no branch '{target}', which {POLICY_FILE} names as its target.",
            f"Make it with `git branch {target}`, or name another under `target:`.",
        )
    identity, name = _identity(url)
    return Repository(id=f"{_slug(name)}-{_short_hash(identity)}", name=name, url=url, target=target)


def register_repository(store: Store, repository: Repository) -> None:
    """Make a repository known to the fleet, or known by its new URL or target."""
    try:
        known = store.repository(repository.id)
    except NotFoundError:
        known = None
    if known != repository:
        store.add_repository(repository)


def _named(name: str, settings: Settings) -> Fleet:
    return read_fleet(name, settings.state_home / "fleets" / name)


def _name_of_checkout(checkout: Checkout) -> str:
    common = _shared(checkout.git_dir)
    return f"{_slug(_home(common).name)}-{_short_hash(str(common))}"


def _name_of_url(url: str) -> str:
    """A name that holds no secret and does not change with the password."""
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise InputError(f"The fleet's URL cannot be read: {error}.", "Write it as SCHEME://HOST:PORT.") from error
    try:
        port = parts.port or _USUAL_PORTS.get(parts.scheme)
    except ValueError as error:
        raise InputError("The fleet's URL has a port that is no number.", "Write it as SCHEME://HOST:PORT.") from error
    host = (parts.hostname or "").lower()
    path = parts.path.rstrip("/") or ("/0" if parts.scheme.startswith("redis") else "")
    database = "".join(parse_qs(parts.query).get("db", []))
    return f"{_slug(host or Path(path).stem)}-{_short_hash(f'{parts.scheme}|{host}|{port}|{path}|{database}')}"


def _shared(git_dir: Path) -> Path:
    """The git directory that all worktrees of a repository share."""
    pointer = git_dir / "commondir"
    return (git_dir / pointer.read_text(encoding="utf-8").strip() if pointer.is_file() else git_dir).resolve()


def _home(common: Path) -> Path:
    """What people call the place of a repository: the main checkout, or the bare repository itself."""
    return common.parent if common.name == ".git" else common


def _declared_target(checkout: Checkout) -> str:
    """The target of the policy in the working tree, else of HEAD's; else, if that has a policy, the default branch."""
    file = checkout.root / POLICY_FILE
    git = Git(checkout.git_dir)
    if file.is_file():
        return _target_in(file.read_bytes())
    at_head = git.ask("cat-file", "blob", f"HEAD:{POLICY_FILE}")
    if at_head.code == 0:
        return _target_in(at_head.out)
    for ref in _default_refs(git):
        text = git.ask("cat-file", "blob", f"{ref}:{POLICY_FILE}")
        if text.code == 0:
            return _target_in(text.out)
    raise InputError(
        f"The repository at {checkout.root} has no {POLICY_FILE}.", "Write one with `shopfloor init`, and commit it."
    )


def _default_refs(git: Git) -> list[str]:
    heads = git.run("for-each-ref", "--format=%(symref)", "refs/remotes/*/HEAD").decode().split()
    return [*heads, "refs/heads/main", "refs/heads/master"]


def _target_in(text: bytes) -> str:
    try:
        return parse_policy(text, POLICY_FILE).target
    except BlueprintError as error:
        raise InputError(f"{error}.", f"Mend {POLICY_FILE}.") from error


def _has_branch(checkout: Checkout, branch: str) -> bool:
    return Git(checkout.git_dir).ask("rev-parse", "--verify", "--quiet", f"refs/heads/{branch}^{{commit}}").code == 0


def _identity(url: str) -> tuple[str, str]:
    """What is the same in every spelling of a repository's URL; and the repository's name."""
    local = Path(url.removeprefix("file://"))
    if local.is_absolute():
        found = git_directory(local)
        home = _home(_shared(found)) if found is not None else local.resolve()
        return str(home), home.name.removesuffix(".git") or "repository"
    scp = None if "://" in url else _SCP_LIKE.fullmatch(url)
    if scp:
        host, path = scp["host"].lower(), scp["path"]
    else:
        parts = urlsplit(url)
        usual = _USUAL_PORTS.get(parts.scheme)
        port = "" if parts.port in (None, usual) else f":{parts.port}"
        host, path = f"{(parts.hostname or '').lower()}{port}", parts.path
    path = path.strip("/").removesuffix(".git").strip("/")
    return f"{host}/{path}", path.rpartition("/")[2] or host or "repository"


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9._]+", "-", text.lower()).strip("-._")[:_SLUG_MAX] or "fleet"


def _short_hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:10]
