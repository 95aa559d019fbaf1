"""Events, logs, the outbox and merge trains in Redis."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, cast

from orchestrator.domain.task import Event
from orchestrator.domain.train import Train
from orchestrator.errors import StaleError
from orchestrator.store import Holder, LogChunk, Wake
from orchestrator.stores.redis.connection import RedisConnection, told
from orchestrator.stores.redis.tasks import EVENTS_KEPT, OUTBOX_GRACE, encode_event, encode_wakes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.domain.repository import Repository

_LOG_CHUNKS_KEPT = 4096
_LOG_KEPT = 30 * 24 * 3600  # seconds after the last chunk
_LONGEST_BLOCK = 3.0  # seconds; below the socket's timeout


class RedisJournal(RedisConnection):
    """The part of the store that tells what happened, and what has to be sent."""

    def events(self, after: int = 0, limit: int = 1000, wait: float = 0.0) -> list[Event]:
        """See `Store.events`."""
        return [
            Event.model_validate_json(fields[b"e"], extra="ignore").model_copy(
                update={"seq": int(ident.split(b"-")[0])}
            )
            for ident, fields in self._read(self.keys.events, f"{after}-0", limit, wait)
        ]

    def last_seq(self) -> int:
        """See `Store.last_seq`."""
        with told():
            return int(cast("bytes | None", self._redis.get(self.keys.seq)) or 0)

    def append_log(self, task_id: str, chunk: LogChunk) -> None:
        """See `Store.append_log`."""
        key = self.keys.log(task_id)
        fields: dict[Any, Any] = {"a": chunk.attempt, "r": chunk.round, "s": chunk.step, "t": chunk.text}
        with told(), self._redis.pipeline(transaction=False) as pipeline:
            pipeline.xadd(key, fields, maxlen=_LOG_CHUNKS_KEPT, approximate=True)
            pipeline.expire(key, _LOG_KEPT)
            pipeline.execute()

    def log(self, task_id: str, after: str = "", wait: float = 0.0) -> list[LogChunk]:
        """See `Store.log`."""
        return [
            LogChunk(ident.decode(), int(row[b"a"]), int(row[b"r"]), row[b"s"].decode(), row[b"t"])
            for ident, row in self._read(self.keys.log(task_id), after or "0-0", _LOG_CHUNKS_KEPT * 2, wait)
        ]

    def due(self) -> list[Wake]:
        """See `Store.due`."""
        with told():
            seconds, micros = self._redis.time()
            now = seconds * 1000 + micros // 1000
            found = cast("list[bytes]", self._redis.zrangebyscore(self.keys.outbox, 0, now))
        return [Wake.decode(member.decode()) for member in found]

    def confirm(self, wakes: Sequence[Wake]) -> None:
        """See `Store.confirm`."""
        if wakes:
            with told():
                self._redis.zrem(self.keys.outbox, *(wake.encode() for wake in wakes))

    def train(self, repository: Repository) -> Train:
        """See `Store.train`."""
        with told():
            doc = self._redis.hget(self.keys.train(repository.id), "d")
        if doc is None:
            return Train(repository=repository.id, target=repository.target)
        return Train.model_validate_json(cast("bytes", doc), extra="ignore")

    def commit_train(
        self, train: Train, events: Sequence[Event] = (), wakes: Sequence[Wake] = (), lease_seconds: float | None = None
    ) -> None:
        """See `Store.commit_train`."""
        order = {
            "expected": train.version - 1,
            "version": train.version,
            "fence": train.candidate.fence if train.candidate else 0,
            "lease": f"{Holder.TRAIN}:{train.repository}",
            "ttl": int((lease_seconds or 0) * 1000),
            "wakes": encode_wakes(wakes),
            "grace": OUTBOX_GRACE,
            "events_kept": EVENTS_KEPT,
        }
        keys = [self.keys.train(train.repository), self.keys.events, self.keys.seq, self.keys.outbox, self.keys.leases]
        args = [json.dumps(order), train.model_dump_json(), *(encode_event(event) for event in events)]
        if self.run("train", keys, args) != b"ok":
            raise StaleError(
                f"The train of {train.repository} was moved by somebody else at the same moment.",
                "It goes on by itself.",
            )

    def _read(self, key: str, after: str, limit: int, wait: float) -> list[tuple[bytes, dict[bytes, bytes]]]:
        block = int(min(wait, _LONGEST_BLOCK) * 1000) or None
        with told():
            answer = cast("Any", self._redis.xread({key: after}, count=limit, block=block))
        return list(answer[0][1]) if answer else []
