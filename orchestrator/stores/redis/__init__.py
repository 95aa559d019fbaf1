"""The store on Redis 7 (or Valkey): one Lua script for each act that must be whole.

Documents may have fields that this version does not know, from a newer one of the same layout: they are read past.
"""

from __future__ import annotations

from orchestrator.stores.redis.store import RedisStore

__all__ = ["RedisStore"]
