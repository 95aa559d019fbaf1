"""Carries out one step of an attempt in its workspace; what follows from its end, the orchestrator decides."""

from __future__ import annotations

import logging
import time
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from orchestrator import logs
from orchestrator.domain.halt import halt_of
from orchestrator.domain.review import Touched
from orchestrator.domain.rounds import PUBLISH, How, Onward, StepEnd
from orchestrator.domain.task import Change, Reason, ReasonCode, StepState
from orchestrator.errors import GitError, InputError, SetupError, ShopfloorError, UnreachableError
from orchestrator.forge import Blocked, Moved, Proposal
from orchestrator.services import attempt
from orchestrator.services.policy import policy_at
from orchestrator.services.refs import checkpoint_ref
from orchestrator.services.submit import branch_of
from workers.host import Underway
from workers.leftovers import clear_away, salvage, salvage_ref, workspace_name
from workers.signing import ours, signature_of, step_message
from workers.stepwork import StepWork

if TYPE_CHECKING:
    from collections.abc import Iterator

    from blueprints.model import Step
    from blueprints.policy import RepositoryPolicy
    from orchestrator.domain.task import Task
    from orchestrator.forge import Change as ForgeChange
    from orchestrator.mirror import Mirror
    from workers.station import Station
    from workers.workspace import Workspace

_log = logging.getLogger(__name__)

TELL_SECONDS = 600.0
"""How long the end of a step is held for a store that cannot be reached."""

_TELL_AGAIN = 0.2  # seconds


@dataclass(frozen=True, slots=True)
class Ahead:
    """What an attempt does next: which steps, in which round; none where it is over."""

    onward: Onward
    round: int = 0
    steps: tuple[Step, ...] = ()


class Runner:
    """Everything that a host does for an attempt. Each verb is safe to call twice: a repeat finds itself stale.

    Args:
        station: What the host works with.
    """

    def __init__(self, station: Station) -> None:
        self._station = station
        self._floor = station.floor
        self._settings = station.settings
        self._state = station.state
        self._workspaces = station.workspaces

    def prepare(self, task_id: str, fence: int) -> Ahead:
        """Make the workspace at the target's tip, or at the last checkpoint, and say which steps are ahead."""
        task = attempt.held(self._floor, task_id, fence)
        if task is None:
            return Ahead(Onward.STOP)
        halt = halt_of(self._floor.store.halts(), task, self._settings.host)
        if halt:
            attempt.halted(self._floor, task_id, fence, halt.sentence())
            return Ahead(Onward.STOP)
        if not self._state.admit(_underway(task)):
            return Ahead(Onward.STOP)  # this message came twice: whatever goes on is left alone
        with logs.bound(blueprint=task.blueprint), self._watched(task, over=False):
            mirror = self._mirror(task)
            mirror.ensure()
            rules = mirror.fetch_target(self._floor.store.repository(task.repository).target)
            base, head = self._start_of(task, mirror, rules)
            self._workspaces.prepare(mirror, _name(task), head)
            started = attempt.started(
                self._floor, task_id, fence, base=base, head=head, rules=rules, branch=branch_of(task)
            )
            if started:
                self._state.pause(_underway(task))
                return Ahead(Onward.NEXT, started.round, self._steps_ahead(started))
        return self._over(task)

    def carry_out(self, task_id: str, fence: int, round_number: int, step_name: str) -> Ahead:
        """Carry out one step of a round, and say what is ahead."""
        held = attempt.held(self._floor, task_id, fence)
        if held is None:
            return self._stale(task_id, fence)
        step = attempt.blueprint_of(self._floor, held).step(step_name)
        task = attempt.step_started(self._floor, task_id, fence, round_number, step)
        if task is None:
            return self._stale(task_id, fence)
        with logs.bound(blueprint=task.blueprint), self._watched(task, over=False):
            self._state.begin(_underway(task))
            if attempt.held(self._floor, task_id, fence) is None:  # a halt that saw nobody at work has given it back
                return self._over(task)
            end = self._end_of(task, step)
            after, onward = self._told(task, step, end)
            if after and onward is not Onward.STOP:
                self._state.pause(_underway(task))
                return Ahead(onward, after.round, self._steps_ahead(after))
        return self._over(task)

    def publish(self, task_id: str, fence: int) -> None:
        """Check the diff, push the branch, open the change."""
        task = attempt.held(self._floor, task_id, fence)
        if task is None:
            self._stale(task_id, fence)
            return
        with logs.bound(blueprint=task.blueprint), self._watched(task, over=True):
            self._state.begin(_underway(task))
            mirror = self._mirror(task)
            changes = mirror.changes(task.base or "", task.head or "")
            touched = [Touched(each.path, (each.added or 0) + (each.deleted or 0)) for each in changes]
            tier = attempt.inspected(self._floor, task_id, fence, touched)
            if tier is None:
                return
            opened = self._open_change(task, mirror)
            if isinstance(opened, Reason):
                attempt.failed(self._floor, task_id, fence, opened)
                return
            change = Change(id=opened.id, url=opened.url, state="open", tier=tier)
            attempt.published(self._floor, task_id, fence, change)

    def _end_of(self, task: Task, step: Step) -> StepEnd:
        """Run the step's command from a clean checkout of the last checkpoint, and keep what it left."""
        mirror = self._mirror(task)
        workspace = self._workspaces.find(mirror, _name(task))
        if workspace is None:
            raise SetupError(f"The workspace of {task.id} is gone from this host.", "It is made anew elsewhere.")
        head = task.head or ""
        if any(run.attempt == task.attempt and run.state is not StepState.RUNNING for run in task.steps):
            workspace.reset(head)  # before the first step of an attempt, nothing has run since it was made
        policy = policy_at(mirror, task.rules or "")
        work = StepWork(self._station, task, step)
        done = work.run(mirror, workspace.path, policy)
        kept, ref = head, None
        if not step.gate:
            kept, ref = self._keep(task, step, mirror, workspace, policy, done.how)
        return StepEnd(
            how=done.how,
            exit_code=done.exit_code,
            head=kept,
            checkpoint=ref,
            log=done.log,
            minutes=done.seconds / 60,
            tokens=done.usage.total,
            cost_usd=done.usage.cost_usd,
            why=done.why,
        )

    def _keep(
        self, task: Task, step: Step, mirror: Mirror, workspace: Workspace, policy: RepositoryPolicy, how: How
    ) -> tuple[str, str | None]:
        """Commit what a step left; pushed as the task's checkpoint if the step ended of itself, else only kept here."""
        head = task.head or ""
        if how is How.NOT_STARTED:
            return head, None
        signature = signature_of(policy, self._floor.clock())
        commit = workspace.snapshot(head, step_message(task, step), signature)
        if commit == head:
            return head, None
        fence = task.fence or 0
        if how not in {How.PASSED, How.FAILED}:
            mirror.remember(salvage_ref(task.id, fence), commit)
            return head, None
        ref = checkpoint_ref(task.id, fence)
        if not mirror.push(ref, commit, head if task.checkpoint == ref else None):
            raise GitError(f"The checkpoint {ref} was moved by somebody else.", "The attempt is stale.")
        return commit, ref

    def _open_change(self, task: Task, mirror: Mirror) -> ForgeChange | Reason:
        """Open the change; a branch that an earlier attempt of this task pushed is ours to move."""
        repository = self._floor.store.repository(task.repository)
        forge = self._floor.forge(repository)
        branch = task.branch or branch_of(task)
        proposal = Proposal(
            task=task.id,
            branch=branch,
            target=repository.target,
            head=task.head or "",
            expected=task.published_head,
            title=task.title,
            body=task.body,
        )
        opened = forge.open_change(mirror, proposal)
        if isinstance(opened, Moved) and (opened.tip is None or ours(mirror, branch, opened.tip, task.id)):
            opened = forge.open_change(mirror, replace(proposal, expected=opened.tip))
        match opened:
            case Moved(tip=tip):
                text = f"somebody else moved the branch {branch} to {tip}; nothing was pushed over it."
                return Reason(code=ReasonCode.CONFLICT, text=text)
            case Blocked(reason=text):
                return Reason(code=ReasonCode.POLICY, text=text)
            case _:
                return opened

    @staticmethod
    def _start_of(task: Task, mirror: Mirror, tip: str) -> tuple[str, str]:
        """The base of an attempt and the commit that it goes on from: the tip, where nothing was done yet."""
        if task.base is None or task.head is None or task.head == task.base:
            return tip, tip
        if task.checkpoint and not mirror.has(task.head):
            mirror.fetch_commit(task.checkpoint, task.head)
        return task.base, task.head

    def _told(self, task: Task, step: Step, end: StepEnd) -> tuple[Task | None, Onward]:
        """Tell the store how a step ended, for as long as it takes: what an agent did was paid for.

        Nobody can take the task away while the store cannot be reached, and one that was taken away refuses this.
        """
        deadline = time.monotonic() + TELL_SECONDS
        while True:
            try:
                return attempt.step_ended(self._floor, task.id, task.fence or 0, step, end)
            except UnreachableError as error:
                if time.monotonic() > deadline:
                    raise
                _log.warning("the end of step %s of %s is told when Redis answers: %s", step.name, task.id, error)
                time.sleep(_TELL_AGAIN)

    def _steps_ahead(self, task: Task) -> tuple[Step, ...]:
        if task.next_step == PUBLISH:
            return ()
        return attempt.blueprint_of(self._floor, task).steps_from(task.next_step)

    def _mirror(self, task: Task) -> Mirror:
        return self._floor.mirror(self._floor.store.repository(task.repository))

    @contextmanager
    def _watched(self, task: Task, *, over: bool) -> Iterator[None]:
        """Clear the attempt away when it is over, or when its failure could not be told either.

        What is noted has its lease renewed: an attempt that nobody is at must not stay noted.
        """
        try:
            with self._told_apart(task):
                yield
        except Exception:
            self._clear(task)
            raise
        if over:
            self._clear(task)

    @contextmanager
    def _told_apart(self, task: Task) -> Iterator[None]:
        """Tell failures apart: the user's input is the task's own; git, disk and store are the host's."""
        fence = task.fence or 0
        try:
            yield
        except InputError as error:
            _log.warning("task %s cannot go on: %s", task.id, error)
            attempt.failed(self._floor, task.id, fence, Reason(code=ReasonCode.POLICY, text=str(error)))
        except UnreachableError as error:
            _log.warning("task %s is left for its lease to run out: %s", task.id, error)
        except (ShopfloorError, OSError) as error:
            _log.exception("attempt %s of task %s failed on this host", fence, task.id)
            salvage(self._mirror(task), self._workspaces, task.id, fence, task.head)
            attempt.gave_up(self._floor, task.id, fence, f"host {self._settings.host} failed: {error}")
        except Exception as error:
            # A fault of ours: bounded like any other failure that is not the task's, and still reported.
            salvage(self._mirror(task), self._workspaces, task.id, fence, task.head)
            attempt.gave_up(self._floor, task.id, fence, f"Shopfloor itself failed: {type(error).__name__}: {error}")
            raise

    def _over(self, task: Task) -> Ahead:
        self._clear(task)
        return Ahead(Onward.STOP)

    def _stale(self, task_id: str, fence: int) -> Ahead:
        """A message for an attempt that is over, or that came twice: whatever goes on is left alone."""
        if attempt.held(self._floor, task_id, fence) is None:
            for each in self._state.underway():
                if each.id == task_id and each.fence == fence:
                    self._clear(self._floor.store.task(task_id).model_copy(update={"fence": fence}))
        return Ahead(Onward.STOP)

    def _clear(self, task: Task) -> None:
        """Take the workspace away: its result is safe in a ref, or was salvaged."""
        clear_away(self._floor, self._state, self._workspaces, _underway(task))


def _name(task: Task) -> str:
    return workspace_name(task.id, task.fence or 0)


def _underway(task: Task) -> Underway:
    return Underway("task", task.id, task.fence or 0, task.repository, task.blueprint, None, None, 0.0)
