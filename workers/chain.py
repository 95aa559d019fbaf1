"""A blueprint's steps as a Celery chain on the host's own queue. Signatures carry ids, fence, round and names only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from celery import Signature, chain, signature

from orchestrator.courier import host_queue, message_id
from orchestrator.domain.rounds import PUBLISH

if TYPE_CHECKING:
    from blueprints.model import Step
    from workers.runner import Ahead

AGENT = "shopfloor.agent"
GATE = "shopfloor.gate"
RUN = "shopfloor.run"
PUBLISH_TASK = "shopfloor.publish"


def chain_of(task_id: str, fence: int, ahead: Ahead, host: str) -> Signature[object]:
    """The steps that are ahead, then publish; each under a message id that names it, so that it can be revoked."""
    steps = [_link(_kind(step), task_id, fence, ahead.round, step.name, host) for step in ahead.steps]
    return chain(*steps, _link(PUBLISH_TASK, task_id, fence, ahead.round, PUBLISH, host))


def _link(name: str, task_id: str, fence: int, round_number: int, step: str, host: str) -> Signature[object]:
    args = (task_id, fence) if name == PUBLISH_TASK else (task_id, fence, round_number, step)
    return signature(
        name,
        args=args,
        immutable=True,
        task_id=message_id(task_id, fence, round_number, step),
        queue=host_queue(host),
    )


def _kind(step: Step) -> str:
    if step.agent:
        return AGENT
    return GATE if step.gate else RUN
