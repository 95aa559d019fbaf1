"""Repositories, hosts, leases, halts and named rights in Redis."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, cast

from pydantic import ValidationError

from orchestrator.domain.fleet import Host
from orchestrator.domain.halt import Halt, Reach
from orchestrator.domain.repository import Repository
from orchestrator.errors import NotFoundError
from orchestrator.store import HOST_LEASES, Beat, Holder, Lease
from orchestrator.stores.redis.connection import RedisConnection, told
from orchestrator.stores.redis.tasks import EVENTS_KEPT, NARROW_REACHES, encode_event

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from orchestrator.domain.task import Event


class RedisFleet(RedisConnection):
    """The part of the store that holds who works where, and what stops them."""

    def add_repository(self, repository: Repository) -> None:
        """See `Store.add_repository`."""
        with told():
            self._redis.hset(self.keys.repositories, repository.id, repository.model_dump_json())

    def repositories(self) -> list[Repository]:
        """See `Store.repositories`."""
        with told():
            found = cast("list[bytes]", self._redis.hvals(self.keys.repositories))
        return sorted((Repository.model_validate_json(doc, extra="ignore") for doc in found), key=lambda each: each.id)

    def repository(self, repository_id: str) -> Repository:
        """See `Store.repository`."""
        with told():
            doc = self._redis.hget(self.keys.repositories, repository_id)
        if doc is None:
            known = ", ".join(each.id for each in self.repositories()) or "none"
            raise NotFoundError(f"The fleet knows no repository '{repository_id}'.", f"It knows: {known}.")
        return Repository.model_validate_json(cast("bytes", doc), extra="ignore")

    def keep_blueprint(self, digest: str, text: str) -> None:
        """See `Store.keep_blueprint`."""
        with told():
            self._redis.set(self.keys.blueprint(digest), text)

    def blueprint(self, digest: str) -> str:
        """See `Store.blueprint`."""
        with told():
            doc = self._redis.get(self.keys.blueprint(digest))
        if doc is None:
            raise NotFoundError(f"The fleet keeps no blueprint with digest {digest}.", "Submit the task again.")
        return cast("bytes", doc).decode()

    def beat(self, host: Host, leases: Sequence[Lease], lease_seconds: float) -> Beat:
        """See `Store.beat`."""
        record = {Holder.TASK: self.keys.task, Holder.TRAIN: self.keys.train}
        keys = [self.keys.hosts, self.keys.leases, self.keys.halts, *(record[each.kind](each.id) for each in leases)]
        ttl = int(lease_seconds * 1000)
        args: list[str | int] = [host.name, host.model_dump_json(), ttl, HOST_LEASES * ttl]
        for lease in leases:
            args += [f"{lease.kind}:{lease.id}", str(lease.fence)]
        lost, halts = self.run("beat", keys, args)
        return Beat(frozenset(leases[number] for number in lost), tuple(_read_halts(_pairs(halts))))

    def remove_host(self, name: str) -> None:
        """See `Store.remove_host`."""
        with told(), self._redis.pipeline(transaction=True) as pipeline:
            pipeline.hdel(self.keys.hosts, name)
            pipeline.zrem(self.keys.leases, f"{Holder.HOST}:{name}")
            pipeline.execute()

    def hosts(self) -> list[Host]:
        """See `Store.hosts`."""
        with told():
            found = cast("list[bytes]", self._redis.hvals(self.keys.hosts))
        return sorted((Host.model_validate_json(doc, extra="ignore") for doc in found), key=lambda host: host.name)

    def busy(self) -> dict[str, int]:
        """See `Store.busy`."""
        with told():
            names = [name.decode() for name in cast("list[bytes]", self._redis.hkeys(self.keys.hosts))]
            return {name: self._redis.scard(self.keys.slots(name)) for name in names}

    def expired(self) -> list[Lease]:
        """See `Store.expired`."""
        with told():
            seconds, micros = self._redis.time()
            now = seconds * 1000 + micros // 1000
            names = [name.decode() for name in cast("list[bytes]", self._redis.zrangebyscore(self.keys.leases, 0, now))]
            leases = []
            for name in names:
                kind, _, ident = name.partition(":")
                leases.append(Lease(Holder(kind), ident, self._fence(Holder(kind), ident)))
        return leases

    def _fence(self, kind: Holder, ident: str) -> int:
        if kind is Holder.HOST:
            return 0
        key = self.keys.task(ident) if kind is Holder.TASK else self.keys.train(ident)
        return int(cast("bytes | None", self._redis.hget(key, "f")) or 0)

    def add_halt(self, halt: Halt, event: Event) -> Halt:
        """See `Store.add_halt`."""
        unnumbered = halt.model_copy(update={"epoch": 0})
        args: list[str | int] = ["add", encode_event(event), EVENTS_KEPT, halt.key, unnumbered.model_dump_json()]
        epoch = self.run("halt", self._halt_keys(), args)
        return halt.model_copy(update={"epoch": int(epoch)})

    def lift_halts(self, keys: Sequence[str], event: Event) -> list[Halt]:
        """See `Store.lift_halts`."""
        lifted = self.run("halt", self._halt_keys(), ["lift", encode_event(event), EVENTS_KEPT, *keys])
        return _read_halts(_pairs(lifted))

    def halts(self) -> list[Halt]:
        """See `Store.halts`."""
        with told():
            return _read_halts(cast("dict[bytes, bytes]", self._redis.hgetall(self.keys.halts)))

    def nudge(self) -> None:
        """See `Store.nudge`."""
        with told():
            self._redis.publish(self.keys.nudge, "renew")

    def nudges(self, timeout: float) -> Iterator[None]:
        """See `Store.nudges`."""
        with told(), self._redis.pubsub(ignore_subscribe_messages=True) as listener:  # type: ignore[no-untyped-call]
            listener.subscribe(self.keys.nudge)
            while True:
                listener.get_message(timeout=timeout)
                yield

    def acquire(self, name: str, token: str, seconds: float) -> bool:
        """See `Store.acquire`."""
        return bool(self.run("right", [self.keys.right(name)], ["acquire", token, int(seconds * 1000)]))

    def release(self, name: str, token: str) -> bool:
        """See `Store.release`."""
        return bool(self.run("right", [self.keys.right(name)], ["release", token, 0]))

    def _halt_keys(self) -> list[str]:
        return [self.keys.halts, self.keys.epochs, self.keys.events, self.keys.seq, self.keys.nudge]


def _pairs(flat: Sequence[bytes]) -> dict[bytes, bytes]:
    return dict(zip(flat[::2], flat[1::2], strict=True))


def _read_halts(pairs: dict[bytes, bytes]) -> list[Halt]:
    """Halts of a hash, by field; one that a person set by hand, with any text, counts as well."""
    return [_read_halt(field.decode(errors="replace"), doc) for field, doc in sorted(pairs.items())]


def _read_halt(field: str, doc: bytes) -> Halt:
    try:
        return Halt.model_validate_json(doc)
    except ValidationError:
        why = doc.decode(errors="replace").strip() or "no reason given"
    reach, _, name = field.partition(":")
    if reach not in NARROW_REACHES or not name:
        reach, name = Reach.FLEET, ""
    return Halt(epoch=0, reach=Reach(reach), name=name, why=why, who="redis", at=datetime.now(UTC))
