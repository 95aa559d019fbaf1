"""What the commits of a task say, and whose name they carry."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.git import Signature

if TYPE_CHECKING:
    from datetime import datetime

    from blueprints.model import Step
    from blueprints.policy import RepositoryPolicy
    from orchestrator.domain.task import Task
    from orchestrator.mirror import Mirror

_TRAILER = "Shopfloor-Task"


def signature_of(policy: RepositoryPolicy, now: datetime) -> Signature:
    """The author that the repository's policy names, else Shopfloor."""
    author = policy.author
    return Signature(author.name, author.email, now) if author else Signature("Shopfloor", "shopfloor@localhost", now)


def step_message(task: Task, step: Step) -> str:
    """The message of the commit that a step left."""
    which = f"{step.name}, round {task.round}"
    return f"{task.title}\n\n{which}\n\n{_TRAILER}: {task.id}\nShopfloor-Fence: {task.fence}\n"


def ours(mirror: Mirror, branch: str, commit: str, task_id: str) -> bool:
    """Tell whether a commit on a branch of the repository is one that an earlier attempt of this task made."""
    mirror.fetch_commit(f"refs/heads/{branch}", commit)
    text = mirror.git.run("log", "-1", f"--format=%(trailers:key={_TRAILER},valueonly)", commit)
    return text.decode("utf-8", "replace").strip() == task_id
