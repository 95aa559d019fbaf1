"""One connection to Redis: how it is made, how its errors are told, how scripts are loaded."""

from __future__ import annotations

from contextlib import contextmanager
from functools import cached_property
from importlib.resources import files
from typing import TYPE_CHECKING, Any, cast

import redis
from redis.backoff import ExponentialBackoff
from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
)
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.retry import Retry

from orchestrator.errors import ShopfloorError, UnreachableError
from orchestrator.stores.redis.keys import LAYOUT, Keys

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_ATTEMPTS = 4
_LONGEST_WAIT = 1.0  # seconds
_SOCKET_TIMEOUT = 5.0  # seconds
_OLDEST = (7, 0)


@contextmanager
def told() -> Iterator[None]:
    """Turn what Redis says into an error for a person."""
    try:
        yield
    except AuthenticationError as error:
        raise UnreachableError(
            f"Redis refused the password: {error}.", "Check the user and password in SHOPFLOOR_REDIS_URL."
        ) from error
    except (RedisConnectionError, RedisTimeoutError, BusyLoadingError) as error:
        raise UnreachableError(
            f"Redis cannot be reached: {str(error).rstrip('.')}.",
            "Start the fleet with `shopfloor up`, or point SHOPFLOOR_REDIS_URL at a Redis server that runs.",
        ) from error
    except OutOfMemoryError as error:
        raise UnreachableError(
            "Redis is out of memory and writes nothing.",
            "Give the Redis server more memory (maxmemory), or a database that nothing else fills.",
        ) from error
    except ReadOnlyError as error:
        raise UnreachableError(
            "Redis writes nothing, for it is a replica.", "Point SHOPFLOOR_REDIS_URL at the primary."
        ) from error
    except ResponseError as error:
        text = str(error)
        if text.startswith("MISCONF"):
            raise UnreachableError(
                f"Redis cannot save and writes nothing: {text}.", "Make room on the Redis server's disk; see its log."
            ) from error
        remedy = "See what the server says of itself: `shopfloor doctor`."
        if "WRONGTYPE" in text:
            remedy = "Another program wrote under the prefix 'shopfloor:'; give Shopfloor a database of its own."
        raise ShopfloorError(f"Redis refused a command: {text}.", remedy) from error
    except RedisError as error:
        raise UnreachableError(f"Redis failed: {error}.", "Check the Redis server.") from error


class RedisConnection:
    """What the parts of the Redis store share: the client, the names of keys, the scripts.

    Args:
        url: `redis://`, `rediss://` or `unix://`, with password and database.
        keys: Names of keys; tests give each test a prefix of its own.
    """

    def __init__(self, url: str, keys: Keys | None = None) -> None:
        self._url = url
        self.keys = keys or Keys()
        self._scripts: dict[str, Any] = {}

    @cached_property
    def _redis(self) -> redis.Redis:
        retry = Retry(ExponentialBackoff(cap=_LONGEST_WAIT, base=0.05), _ATTEMPTS)
        try:
            return redis.Redis.from_url(
                self._url,
                socket_timeout=_SOCKET_TIMEOUT,
                socket_connect_timeout=_SOCKET_TIMEOUT,
                socket_keepalive=True,
                retry=retry,
                retry_on_error=[RedisConnectionError, RedisTimeoutError],
                client_name="shopfloor",
                protocol=2,  # every redis-py that we allow gives its replies the same shape
            )
        except ValueError as error:
            raise UnreachableError(
                f"The Redis URL cannot be used: {error}.", "Write it as redis://HOST:PORT/DATABASE."
            ) from error

    def ping(self) -> None:
        """See `Store.ping`: the server answers, is not too old, and holds no state of another layout."""
        with told():
            version = str(self._redis.info("server")["redis_version"])
            if tuple(int(part) for part in version.split(".")[:2]) < _OLDEST:
                raise UnreachableError(
                    f"The Redis server is {version}; Shopfloor needs 7.0 or newer.", "Upgrade the Redis server."
                )
            self._redis.set(self.keys.layout, LAYOUT, nx=True)
            layout = cast("bytes", self._redis.get(self.keys.layout)).decode()
        if layout != LAYOUT:
            raise UnreachableError(
                f"The fleet's state has layout {layout}; this Shopfloor reads layout {LAYOUT}.",
                "Use the version of Shopfloor that wrote it, or a Redis database of its own.",
            )

    def close(self) -> None:
        """Give back every connection."""
        if "_redis" in self.__dict__:
            self._redis.close()

    def script(self, name: str) -> Any:  # noqa: ANN401 - redis-py's Script, whose replies are untyped
        """A script of the folder `lua`, behind the shared prelude; its flags, where it has some, in front of both."""
        if name not in self._scripts:
            folder = files("orchestrator.stores.redis").joinpath("lua")
            prelude, text = (folder.joinpath(part).read_text("utf-8") for part in ("prelude.lua", f"{name}.lua"))
            flags = text[: text.index("\n") + 1] if text.startswith("#!") else ""
            self._scripts[name] = self._redis.register_script(flags + prelude + text.removeprefix(flags))
        return self._scripts[name]

    def run(self, name: str, keys: Sequence[str], args: Sequence[str | int | float]) -> Any:  # noqa: ANN401 - a reply
        """Run a script and return its reply."""
        with told():
            return self.script(name)(keys=list(keys), args=list(args))
