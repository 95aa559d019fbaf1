"""A busy fleet in memory, whose every column of the board has something in it."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from blueprints.catalog import Catalog
from blueprints.model import StepKind, Tier
from orchestrator.bootstrap import utc_now
from orchestrator.desks.direct import DirectDesk
from orchestrator.domain.task import (
    Cause,
    Change,
    Feedback,
    Meter,
    Note,
    Reason,
    ReasonCode,
    State,
    StepRun,
    StepState,
    Task,
)
from orchestrator.domain.train import Candidate
from orchestrator.store import LogChunk
from tests.helpers.floors import make_floor
from tests.helpers.tasks import WAY_HOME, advance, claim, make_host, noted, submit

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from orchestrator.services.floor import Floor
    from orchestrator.store import Store

REPOSITORY = "web-1"
HOST = "builder-1"


def busy_floor(path: Path) -> Floor:
    """T1 to T8: merged, escalated, running twice, in review, merging, queued and waiting."""
    floor = make_floor(path)
    store, now = floor.store, utc_now()
    store.remove_host("h1")
    store.beat(make_host(HOST, 4, capabilities=("node22",), started_at=now, seen_at=now), [], 60)
    store.next_ids(8)
    store.keep_blueprint("d1", Catalog.builtin().get("codemod").model_dump_json())
    _merged(store, now)
    _escalated(store, now)
    _running(store, now)
    _landing(store, now)
    _add(store, now, 7, "Write the migration guide", queued_at=now - timedelta(minutes=3))
    _add(store, now, 8, "Announce the new client", state=State.WAITING, depends_on=("T7",))
    return floor


def busy_desk(path: Path) -> DirectDesk:
    """The desk of that fleet."""
    return DirectDesk(busy_floor(path), who="ann")


def _add(store: Store, now: datetime, number: int, title: str, **changes: object) -> Task:
    fields = {
        "id": f"T{number}",
        "repository": REPOSITORY,
        "title": title,
        "scope": (f"src/part{number}",),
        "created_at": now - timedelta(minutes=40 - number),
        "submitted_by": "ann",
        "tokens": Meter.of(200_000),
    }
    return submit(store, **{**fields, **changes})


def _placed(store: Store, now: datetime, number: int, title: str, **changes: object) -> Task:
    """A task at work."""
    task = _add(store, now, number, title, **changes)
    refused = claim(store, task, store.hosts()[0])
    assert refused is None
    return store.task(task.id)


def _changed(task: Task, now: datetime, tier: Tier) -> dict[str, object]:
    change = Change(id=task.id, url=f"file:///srv/web.git#{task.id}", state="open", tier=tier)
    return {"change": change, "change_opened_at": now - timedelta(minutes=4)}


def _merged(store: Store, now: datetime) -> None:
    task = _placed(store, now, 1, "Pin the versions of the linters", round=1)
    for cause, state in WAY_HOME:
        more: dict[str, object] = _changed(task, now, Tier.AUTO) if state is State.REVIEW else {}
        if state is State.MERGED:
            more = {"merged_as": "9f2c1ab04d" * 4, "ended_at": now - timedelta(minutes=2)}
        task = advance(store, task, cause, state, **more)


def _escalated(store: Store, now: datetime) -> None:
    task = _placed(store, now, 2, "Upgrade the parser to 4.0", round=3)
    why = Reason(code=ReasonCode.ROUNDS_EXHAUSTED, text="step test failed in round 3 of 3 (exit code 1).")
    told = Feedback(step="test", exit_code=1, log="1 failed")
    advance(
        store, task, Cause.ESCALATED, State.ESCALATED, reason=why, feedback=told, ended_at=now - timedelta(minutes=6)
    )


def _running(store: Store, now: datetime) -> None:
    first = _placed(store, now, 3, "Rename Client.fetch to Client.get everywhere", body="Keep the old name.\n\nThanks.")
    edit = StepRun(
        name="edit",
        kind=StepKind.AGENT,
        round=1,
        attempt=1,
        host=HOST,
        state=StepState.PASSED,
        exit_code=0,
        started_at=now - timedelta(minutes=4),
        ended_at=now - timedelta(minutes=1),
    )
    test = edit.model_copy(
        update={
            "name": "test",
            "kind": StepKind.RUN,
            "state": StepState.RUNNING,
            "exit_code": None,
            "ended_at": None,
        }
    )
    store.commit(
        noted(
            first,
            Note.STEP_STARTED,
            round=1,
            next_step="test",
            started_at=now - timedelta(minutes=4),
            minutes=Meter(budget=20, spent=4.2, allowance=20),
            tokens=Meter(budget=200_000, spent=31_400, allowance=200_000),
            steps=(edit, test),
            branch="shopfloor/T3-rename-client-fetch",
            base="a1" * 20,
            head="b2" * 20,
        )
    )
    for piece in (b"edited src/client.py\n", b"done \x1b[32mwell\x1b[0m\n"):
        store.append_log("T3", LogChunk("", 1, 1, "edit", piece))
    store.append_log("T3", LogChunk("", 1, 1, "test", b"3 passed"))
    second = _placed(store, now, 4, "Cache the session in Redis \U0001f680", round=2)
    store.commit(
        noted(
            second,
            Note.ROUND_STARTED,
            round=2,
            minutes=Meter(budget=20, spent=18.5, allowance=20),
            tokens=Meter(budget=200_000, spent=150_000, allowance=200_000),
            started_at=now - timedelta(minutes=19),
        )
    )


def _landing(store: Store, now: datetime) -> None:
    reviewed = _placed(store, now, 5, "Drop support for Python 3.10", round=1)
    advance(store, reviewed, Cause.PUBLISHED, State.REVIEW, **_changed(reviewed, now, Tier.HUMAN))
    merging = _placed(store, now, 6, "Log requests as JSON", round=1)
    merging = advance(store, merging, Cause.PUBLISHED, State.REVIEW, **_changed(merging, now, Tier.AUTO))
    advance(store, merging, Cause.APPROVED, State.MERGING, merging_at=now - timedelta(minutes=1))
    train = store.train(store.repository(REPOSITORY))
    candidate = Candidate(
        task="T6", fence=9, base="c3" * 20, head="d4" * 20, commit="e5" * 20, host=HOST, built_at=now, asked_at=now
    )
    store.commit_train(train.noted(candidate))
