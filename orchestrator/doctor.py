"""Checks this machine, a checkout and its fleet, and says how to mend what fails."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
from enum import StrEnum
from typing import TYPE_CHECKING

from blueprints.catalog import Catalog
from blueprints.errors import BlueprintError, ChoiceError
from blueprints.policy import RepositoryPolicy, parse_policy
from orchestrator.checkout import Checkout, find_checkout
from orchestrator.desks.remote import RemoteDesk
from orchestrator.domain.frozen import Frozen
from orchestrator.embedded import server_binary
from orchestrator.errors import ShopfloorError
from orchestrator.git import Git
from orchestrator.place import POLICY_FILE, find_fleet, repository_of
from orchestrator.stores.redis.condition import Condition, condition_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from orchestrator.config import Settings
    from orchestrator.place import Fleet

_BLUEPRINTS = ".shopfloor/blueprints"
_OLDEST_PYTHON = (3, 11)
_OLDEST_GIT = (2, 38)  # `git merge-tree --write-tree`
_GIB = 1024**3
_SPACE_NEEDED = 0.5  # GiB
_SPACE_WISHED = 5.0  # GiB
_SLOW = 0.02  # seconds for one round trip
_APART = 2.0  # seconds between two clocks
_OLDEST_REDIS = 7
_LONGEST = 10  # seconds that a program may take to answer
_PROGRAM = re.compile(r"(?P<program>[\w.+-]+)(?=\s|$)(?:\s+-m\s+(?P<module>\w+))?")
_OF_THE_SHELL = frozenset({"cd", "set", "if", "for", "while", "case", "export", "test", "exec", "eval", "unset", "."})
_HAS_NOT = 3
_HAS_MODULE = (
    f"import sys, importlib.util as u; sys.path.insert(0, ''); sys.exit(0 if u.find_spec(sys.argv[1]) else {_HAS_NOT})"
)


class Verdict(StrEnum):
    """What came of a check."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"


class Finding(Frozen):
    """One line of the report.

    Args:
        subject: What was looked at.
        verdict: What came of it.
        text: What was found.
        remedy: How to mend it; empty where nothing needs to be.
        alarming: Whether a person should not overlook it, although everything works.
    """

    subject: str
    verdict: Verdict
    text: str
    remedy: str = ""
    alarming: bool = False


def examine(path: Path, settings: Settings) -> Iterator[Finding]:
    """Check everything, one finding after the other; none of it changes anything.

    Args:
        path: The directory that the command was given in.
        settings: What the environment says.
    """
    yield _python()
    yield _git()
    yield from _fleet(path, settings)
    try:
        checkout = find_checkout(path)
        repository = repository_of(path, settings)
    except ShopfloorError as error:
        yield _failed("repository", error)
    else:
        yield from _repository(checkout, repository.target, settings.search_path)
    yield Finding(
        subject="sandbox",
        verdict=Verdict.WARNING,
        text="level none: agents run with all that your own user may do, on this machine and on its network.",
        remedy="Run only agents and tasks that you trust, or run Shopfloor in a machine of its own.",
        alarming=True,
    )


def _fleet(path: Path, settings: Settings) -> Iterator[Finding]:
    """The fleet that commands would speak to, in the way that they would."""
    if settings.api_url is not None:
        yield _api(settings.api_url, settings.token)
        return
    try:
        fleet = find_fleet(path, settings)
    except ShopfloorError as error:
        yield _failed("fleet", error)
        return
    yield _state(fleet)
    yield from _redis(fleet, settings)


def _api(url: str, token: str | None) -> Finding:
    if token is None:
        remedy = "Ask for a token of the fleet (`shopfloor token add NAME`), and set SHOPFLOOR_TOKEN to it."
        return Finding(subject="api", verdict=Verdict.FAILED, text="SHOPFLOOR_TOKEN is not set.", remedy=remedy)
    desk = RemoteDesk(url, token)
    try:
        hosts = len(desk.hosts())
    except ShopfloorError as error:
        return _failed("api", error)
    finally:
        desk.close()
    text = f"{url} answers; its fleet has {hosts} connected {'host' if hosts == 1 else 'hosts'}"
    return Finding(subject="api", verdict=Verdict.OK, text=text)


def _python() -> Finding:
    text = f"{platform.python_version()} at {sys.executable}"
    if sys.version_info >= _OLDEST_PYTHON:
        return Finding(subject="python", verdict=Verdict.OK, text=text)
    return Finding(subject="python", verdict=Verdict.FAILED, text=text, remedy="Install Python 3.11 or newer.")


def _git() -> Finding:
    remedy = "Install git 2.38 or newer and put it on PATH."
    try:
        text = subprocess.run(["git", "--version"], capture_output=True, text=True, timeout=10, check=False).stdout
    except (OSError, subprocess.TimeoutExpired) as error:
        return Finding(subject="git", verdict=Verdict.FAILED, text=f"git does not run: {error}", remedy=remedy)
    match = re.search(r"(\d+)\.(\d+)[\w.]*", text)
    if match and (int(match[1]), int(match[2])) >= _OLDEST_GIT:
        return Finding(subject="git", verdict=Verdict.OK, text=f"{match[0]}")
    return Finding(subject="git", verdict=Verdict.FAILED, text=text.strip() or "says no version", remedy=remedy)


def _state(fleet: Fleet) -> Finding:
    there = next(each for each in (fleet.state, *fleet.state.parents) if each.exists())
    if not os.access(there, os.W_OK | os.X_OK):
        text, remedy = f"{there} cannot be written to.", "Mend its permissions, or set XDG_STATE_HOME."
        return Finding(subject="state", verdict=Verdict.FAILED, text=text, remedy=remedy)
    free = shutil.disk_usage(there).free / _GIB
    text = f"{fleet.state}, {free:.1f} GiB free"
    if free >= _SPACE_WISHED:
        return Finding(subject="state", verdict=Verdict.OK, text=text)
    verdict = Verdict.WARNING if free >= _SPACE_NEEDED else Verdict.FAILED
    remedy = "Make room: every attempt needs a workspace of its own there."
    return Finding(subject="state", verdict=verdict, text=text, remedy=remedy)


def _redis(fleet: Fleet, settings: Settings) -> Iterator[Finding]:
    if fleet.redis_url is None:
        try:
            binary = server_binary(settings.search_path)
        except ShopfloorError as error:
            yield _failed("redis", error)
            return
        text = f"fleet {fleet.name} is not up; `shopfloor up` will start {binary}"
        yield Finding(subject="redis", verdict=Verdict.OK, text=text)
        return
    try:
        condition = condition_of(fleet.redis_url)
    except ShopfloorError as error:
        yield _failed("redis", error)
        return
    yield from _judged(condition)


def _judged(condition: Condition) -> Iterator[Finding]:
    """What a server's condition means."""
    version = re.match(r"\d+", condition.version)
    old = version is None or int(version[0]) < _OLDEST_REDIS
    yield Finding(
        subject="redis",
        verdict=Verdict.FAILED if old else Verdict.OK,
        text=f"{condition.version} answers in {condition.latency * 1000:.1f} ms",
        remedy="Upgrade the Redis server to 7.0 or newer." if old else "",
    )
    if condition.latency > _SLOW:
        text = f"a round trip takes {condition.latency * 1000:.0f} ms, and every step makes several."
        yield Finding(subject="redis", verdict=Verdict.WARNING, text=text, remedy="Move Redis closer to the hosts.")
    evicts = condition.eviction not in ("noeviction", None)
    yield Finding(
        subject="redis memory",
        verdict=Verdict.FAILED if evicts else Verdict.OK,
        text=f"maxmemory-policy is {condition.eviction or 'not told'}",
        remedy="Set `maxmemory-policy noeviction`: an evicted key is a lost task." if evicts else "",
    )
    kept = condition.append_only is not False
    yield Finding(
        subject="redis disk",
        verdict=Verdict.OK if kept else Verdict.FAILED,
        text="every write is kept in a file" if kept else "appendonly is off",
        remedy="" if kept else "Set `appendonly yes`: without it a restart of Redis forgets tasks.",
    )
    apart = abs(condition.ahead) > _APART
    yield Finding(
        subject="clock",
        verdict=Verdict.WARNING if apart else Verdict.OK,
        text=f"{abs(condition.ahead):.1f} s {'behind' if condition.ahead > 0 else 'ahead of'} that of Redis",
        remedy="Synchronise both clocks (NTP)." if apart else "",
    )


def _repository(checkout: Checkout, target: str, search_path: str) -> Iterator[Finding]:
    git = Git(checkout.git_dir)
    ref = _tip(git, target)
    if ref is None:
        text, remedy = f"there is no branch '{target}'.", f"Make it, or name another in {POLICY_FILE}."
        yield Finding(subject="target", verdict=Verdict.FAILED, text=text, remedy=remedy)
        return
    yield Finding(subject="target", verdict=Verdict.OK, text=f"{target}, as {ref} has it")
    read = git.ask("cat-file", "blob", f"{ref}:{POLICY_FILE}")
    if read.code:
        text, remedy = (
            f"{ref} has no {POLICY_FILE}.",
            "Commit it there, and push it: it is read from the target branch.",
        )
        yield Finding(subject="policy", verdict=Verdict.FAILED, text=text, remedy=remedy)
        return
    try:
        policy = parse_policy(read.out, POLICY_FILE)
        paths = _listed(git, ref)
        texts = {path: git.run("cat-file", "blob", f"{ref}:{path}") for path in paths}
        catalog = Catalog.builtin().with_repository(texts)
    except BlueprintError as error:
        text, remedy = str(error), "Mend it on the target branch."
        yield Finding(subject="policy", verdict=Verdict.FAILED, text=text, remedy=remedy)
        return
    count = "1 blueprint" if len(paths) == 1 else f"{len(paths)} blueprints"
    yield Finding(subject="policy", verdict=Verdict.OK, text=f"{POLICY_FILE} and {count} of its own can be read")
    for lacking in _lacking(policy, catalog):
        remedy = f"Mend {POLICY_FILE} on the target branch."
        yield Finding(subject="policy", verdict=Verdict.FAILED, text=lacking, remedy=remedy)
    yield _verify(policy.verify, checkout.root, search_path)
    for name in policy.agents:
        yield _agent(name, policy, git, ref, search_path)


def _lacking(policy: RepositoryPolicy, catalog: Catalog) -> list[str]:
    """What the default blueprint and the repository's own use that its policy does not declare."""
    default = policy.defaults.blueprint
    used = [each.blueprint for name, each in catalog.entries.items() if not each.built_in or name == default]
    found = [policy.lacks(each) for each in used]
    try:
        catalog.get(default or next(iter(catalog.entries)))
    except ChoiceError as error:
        found.append(f"{error.message} {error.remedy}")
    return [each for each in found if each]


def _verify(command: str | None, root: Path, search_path: str) -> Finding:
    """Whether there is a verify command, and what it needs."""
    if command is None:
        text, remedy = "there is no `verify`: changes land without a test.", f"Add it to {POLICY_FILE}."
        return Finding(subject="policy", verdict=Verdict.WARNING, text=text, remedy=remedy)
    lacking = lacking_for(command, root, search_path)
    if lacking is None:
        return Finding(subject="verify", verdict=Verdict.OK, text=command)
    remedy = f"Install it here, or mend `verify` in {POLICY_FILE}: no change lands that `verify` fails on."
    return Finding(subject="verify", verdict=Verdict.WARNING, text=lacking, remedy=remedy)


def lacking_for(command: str, root: Path, search_path: str) -> str | None:
    """Say what a plain shell command cannot run without, as far as that shows before it is run.

    Its program is looked up, and the module of a `python -m`. A command that begins in any other way than with the
    name of a program, such as an assignment, is not looked into.

    Args:
        command: The command, such as the `verify` of a repository.
        root: The directory it would run in.
        search_path: The PATH it would run with.

    Returns:
        A sentence on what is missing on this machine; None if nothing is known to be.
    """
    named = _PROGRAM.match(command)
    if named is None:
        return None
    program, module = named["program"], named["module"]
    found = shutil.which(program, path=search_path)
    if found is None:
        return None if program in _OF_THE_SHELL else f"`{command}` needs {program}, and there is none on PATH here."
    if module is None:
        return None
    # -I: a gate has no home, so no packages of the user's; and none of the checkout's code is to run for a question.
    asked = [found, "-I", "-c", _HAS_MODULE, module]
    try:
        code = subprocess.run(asked, cwd=root, capture_output=True, timeout=_LONGEST, check=False).returncode
    except (OSError, subprocess.TimeoutExpired):
        return None
    return f"`{command}` needs {module}, and {found} has no such module." if code == _HAS_NOT else None


def _agent(name: str, policy: RepositoryPolicy, git: Git, ref: str, search_path: str) -> Finding:
    """Whether an agent's program is where docs/agents.md says that it is looked up."""
    program = policy.agents[name].command[0]
    subject = f"agent {name}"
    if "/" in program and not program.startswith("/"):
        path = os.path.normpath(program)
        entry = git.run("ls-tree", ref, "--", path).decode("utf-8", "replace").split()
        if not entry:
            text, remedy = f"{program} is not on the target branch.", "Commit it there."
        elif entry[0] != "100755":
            text, remedy = f"{program} is not executable.", f"Run: git update-index --chmod=+x {path}, and commit."
        else:
            return Finding(subject=subject, verdict=Verdict.OK, text=f"{program} on the target branch")
        return Finding(subject=subject, verdict=Verdict.FAILED, text=text, remedy=remedy)
    found = shutil.which(program, path=search_path)
    if found:
        return Finding(subject=subject, verdict=Verdict.OK, text=found)
    text, remedy = f"there is no program {program} on this machine.", f"Install it, or name another in {POLICY_FILE}."
    return Finding(subject=subject, verdict=Verdict.FAILED, text=text, remedy=remedy)


def _tip(git: Git, target: str) -> str | None:
    """The target as this checkout last saw it: that of a remote, for changes land there; else its own."""
    remotes = git.run("for-each-ref", "--format=%(refname)", f"refs/remotes/*/{target}").decode().split()
    own = git.run("for-each-ref", "--format=%(refname)", f"refs/heads/{target}").decode().split()
    origin = [each for each in remotes if each == f"refs/remotes/origin/{target}"]
    return next(iter([*origin, *remotes, *own]), None)


def _listed(git: Git, ref: str) -> list[str]:
    listed = git.run("ls-tree", "-r", "-z", "--name-only", ref, "--", f"{_BLUEPRINTS}/").decode("utf-8", "replace")
    return [path for path in listed.split("\0") if path.endswith((".yaml", ".yml"))]


def _failed(subject: str, error: ShopfloorError) -> Finding:
    return Finding(subject=subject, verdict=Verdict.FAILED, text=error.message, remedy=error.remedy)
