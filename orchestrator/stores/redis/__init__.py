"""The store on Redis 7 (or Valkey): one Lua script for each act that must be whole."""

from __future__ import annotations

from orchestrator.stores.redis.store import RedisStore

__all__ = ["RedisStore"]
