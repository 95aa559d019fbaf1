"""The store on Redis, whole."""

from __future__ import annotations

from orchestrator.stores.redis.fleet import RedisFleet
from orchestrator.stores.redis.journal import RedisJournal
from orchestrator.stores.redis.tasks import RedisTasks


class RedisStore(RedisTasks, RedisFleet, RedisJournal):
    """`Store` on a Redis server: see `orchestrator.store` for the contract, `keys.py` for what is kept where."""
