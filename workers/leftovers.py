"""What a step or a worker that died left on this host: its work is kept under a ref before anything is deleted."""

from __future__ import annotations

import logging
import shutil
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from orchestrator.errors import ShopfloorError
from orchestrator.git import Signature
from orchestrator.store import Holder
from workers.workspaces.worktree import WorktreeWorkspaces

if TYPE_CHECKING:
    from orchestrator.mirror import Mirror
    from orchestrator.services.floor import Floor
    from workers.host import HostState, Underway
    from workers.workspace import Workspaces

_log = logging.getLogger(__name__)


def salvage_ref(task_id: str, fence: int) -> str:
    """Where this host's mirror keeps what an unfinished step had written."""
    return f"refs/shopfloor/salvage/{task_id}/{fence}"


def workspace_name(task_id: str, fence: int) -> str:
    """What the workspace and the scratch directory of an attempt are called."""
    return f"{task_id}-{fence}"


def salvage(mirror: Mirror, workspaces: Workspaces, task_id: str, fence: int, head: str | None) -> None:
    """Keep what stands in the workspace of an attempt beyond its last checkpoint. What cannot be kept is logged."""
    try:
        workspace = workspaces.find(mirror, workspace_name(task_id, fence))
        if workspace is None or head is None:
            return
        signature = Signature("Shopfloor", "shopfloor@localhost", datetime.now(UTC))
        commit = workspace.snapshot(head, f"Unfinished work of {task_id}\n\nShopfloor-Task: {task_id}\n", signature)
        if commit != head:
            mirror.remember(salvage_ref(task_id, fence), commit)
    except (ShopfloorError, OSError) as error:
        _log.warning("unfinished work of task %s could not be kept: %s", task_id, error)


def clear_away(floor: Floor, state: HostState, workspaces: Workspaces, over: Underway) -> None:
    """Take away what an attempt or a verification that is over has on this host; the note of it last.

    A workspace that cannot be removed now (the store does not say of which repository it is) is swept when the worker
    next starts. The note goes in any case: an attempt that is noted has its lease renewed.
    """
    name = workspace_name(over.id, over.fence) if over.lease.kind is Holder.TASK else f"verify-{over.fence}"
    try:
        workspace = workspaces.find(floor.mirror(floor.store.repository(over.repository)), name)
        if workspace is not None:
            workspace.remove()
    except (ShopfloorError, OSError) as error:
        _log.warning("workspace %s is cleared when the worker next starts: %s", name, error)
    shutil.rmtree(state.scratch / name, ignore_errors=True)
    state.forget(over.lease)


def clear_aside(floor: Floor, state: HostState, workspaces: Workspaces) -> None:
    """Keep the unfinished work of every attempt that was laid aside, and clear it away.

    In a process of the pool, never in the worker's own: that one forks processes of the pool while its heartbeat works,
    and a process that is forked while another is started keeps the pipe open by which its starter learns that it runs.
    """
    for each in state.take_aside():
        if each.lease.kind is Holder.TASK:
            try:
                task = floor.store.task(each.id)
                mirror = floor.mirror(floor.store.repository(each.repository))
                salvage(mirror, workspaces, each.id, each.fence, task.head)
            except ShopfloorError as error:
                _log.warning("attempt %s is not salvaged: %s", each.lease.name, error)
        clear_away(floor, state, workspaces, each)


def clear_leftovers(floor: Floor, state: HostState) -> None:
    """Before a worker's first step: keep the unfinished work of the one before it, and clear its directories."""
    workspaces = WorktreeWorkspaces(state.workspaces)
    for each in (*state.underway(), *state.take_aside()):
        if each.lease.kind is Holder.TASK:
            try:
                task = floor.store.task(each.id)
                mirror = floor.mirror(floor.store.repository(each.repository))
            except ShopfloorError as error:
                _log.warning("attempt %s is left as it is: %s", each.lease.name, error)
                continue
            salvage(mirror, workspaces, each.id, each.fence, task.head)
    swept = workspaces.sweep(set())
    for folder in (state.scratch, state.policies):
        shutil.rmtree(folder, ignore_errors=True)
    if swept:
        _log.info("cleared the workspaces of an earlier worker: %s", ", ".join(swept))
