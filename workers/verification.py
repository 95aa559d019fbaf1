"""Verifies a candidate of a merge train: the repository's own command on exactly that commit, in a clean workspace."""

from __future__ import annotations

import logging
import shutil
from typing import TYPE_CHECKING

from orchestrator.errors import ShopfloorError
from orchestrator.services.policy import policy_at
from orchestrator.services.refs import candidate_ref
from orchestrator.services.verify import ask_for_waiting, postponed, verify_abandoned, verify_ended, verify_started
from workers.command import Command
from workers.environment import minimal_environment
from workers.execution import Ending, execute
from workers.host import Underway
from workers.steplog import StepLog

if TYPE_CHECKING:
    from orchestrator.domain.task import Task
    from orchestrator.domain.train import Candidate
    from workers.execution import Execution
    from workers.station import Station

_log = logging.getLogger(__name__)


def verify(station: Station, repository_id: str, fence: int) -> None:
    """Take a candidate, run the verify command, and say what it said; a stop gives the candidate back unjudged.

    One at a time on a host: its processes are as many as its slots and this one.
    """
    with station.state.room_to_verify() as has_room:
        if not has_room:
            postponed(station.floor, repository_id, fence)
            return
        taken = verify_started(station.floor, repository_id, fence, station.settings.host)
        if taken is None:
            return  # asking for others now would answer each message by several, without end in a halt
        execution = _execution_of(station, repository_id, fence, *taken)
    # The verdict moves the train on, which asks for the next candidate: by then there is room for it.
    if execution is None or execution.ending is Ending.stopped:
        verify_abandoned(station.floor, repository_id, fence, station.settings.host)
    else:
        code = execution.exit_code if execution.ending is Ending.exited else None
        said = f"\n[shopfloor] {execution.why}" if execution.why else ""
        verify_ended(station.floor, repository_id, fence, code, execution.tail.decode("utf-8", "replace") + said)
    ask_for_waiting(station.floor)


def _execution_of(
    station: Station, repository_id: str, fence: int, task: Task, candidate: Candidate
) -> Execution | None:
    """How the verify command went; None where this host could not run it."""
    underway = Underway("train", task.id, fence, repository_id, task.blueprint, None, None, 0.0)
    station.state.begin(underway)
    try:
        return _run(station, task, candidate, underway)
    except (ShopfloorError, OSError):
        _log.exception("candidate %s of %s could not be verified on this host", fence, repository_id)
        return None
    finally:
        station.state.forget(underway.lease)


def _run(station: Station, task: Task, candidate: Candidate, underway: Underway) -> Execution:
    floor, state = station.floor, station.state
    mirror = floor.mirror(floor.store.repository(task.repository))
    mirror.ensure()
    if not mirror.has(candidate.commit):
        mirror.fetch_commit(candidate_ref(candidate.fence), candidate.commit)
    policy = policy_at(mirror, candidate.base)
    name = f"verify-{candidate.fence}"
    scratch = state.scratch / name
    workspace = station.workspaces.prepare(mirror, name, candidate.commit)
    log = StepLog(floor.store, task.id, task.attempt, task.round, "verify")
    try:
        return execute(
            Command(
                argv=("/bin/sh", "-c", policy.verify or "true"),
                cwd=workspace.path,
                env=minimal_environment(scratch, {}, station.settings.search_path),
                seconds=60 * policy.verify_minutes,
            ),
            sink=log.write,
            should_stop=lambda: stop.why if (stop := state.stop_for(underway.lease)) else None,
            sandbox=station.sandbox,
        )
    finally:
        log.close()
        workspace.remove()
        shutil.rmtree(scratch, ignore_errors=True)
