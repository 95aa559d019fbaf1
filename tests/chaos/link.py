"""A host's link to Redis: a TCP relay in a thread of its own, that can be cut, slowed down, severed and healed.

It works without root and without network namespaces. A cut link loses nothing and says nothing: what was sent waits,
as TCP would repeat it, and goes on when the link is healed. A severed one resets every connection and takes no new one.
"""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Self, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

_CHUNK = 65_536
_T = TypeVar("_T")


class Link:
    """A relay from a loopback port of its own to a server's.

    Args:
        upstream: The server's port at this moment.
    """

    def __init__(self, upstream: Callable[[], int]) -> None:
        self._upstream = upstream
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="link", daemon=True)
        self._open = asyncio.Event()
        self._delay = 0.0
        self._refuses = False
        self._writers: set[asyncio.StreamWriter] = set()
        self._served: set[asyncio.Task[None]] = set()
        self.port = 0

    def start(self) -> Self:
        """Listen; the port is known from then on."""
        self._thread.start()
        self.port = self._run(self._listen())
        return self

    def cut(self) -> None:
        """Let nothing through any more, in either direction; connections stay."""
        self._loop.call_soon_threadsafe(self._open.clear)

    def sever(self) -> None:
        """Reset every connection, and end each new one at once."""
        self._run(self._sever())

    def slow(self, seconds: float) -> None:
        """Hold everything back for so long, in each direction."""
        self._delay = seconds

    def heal(self) -> None:
        """Let everything through again, at once."""
        self._delay = 0.0
        self._refuses = False
        self._loop.call_soon_threadsafe(self._open.set)

    def stop(self) -> None:
        """End it."""
        self._run(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self, work: Coroutine[object, object, _T]) -> _T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _listen(self) -> int:
        self._open.set()
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def _sever(self) -> None:
        self._refuses = True
        for writer in list(self._writers):
            writer.transport.abort()

    async def _stop(self) -> None:
        self._server.close()
        self._open.set()
        await self._sever()
        for task in list(self._served):
            task.cancel()
        await asyncio.gather(*self._served, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._served.add(task)
        self._writers.add(writer)
        try:
            await self._relay(reader, writer)
        except asyncio.CancelledError:
            pass  # the link is stopped
        finally:
            self._served.discard(task)
            self._writers.discard(writer)
            writer.transport.abort()

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._open.wait()
        if self._refuses:
            return
        with suppress(OSError):  # the server is down, as its clients are to see
            there, back = await asyncio.open_connection("127.0.0.1", self._upstream())
            self._writers.add(back)
            try:
                pumps = [
                    asyncio.ensure_future(self._pump(reader, back)),
                    asyncio.ensure_future(self._pump(there, writer)),
                ]
                await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
                for pump in pumps:
                    pump.cancel()
                await asyncio.gather(*pumps, return_exceptions=True)
            finally:
                self._writers.discard(back)
                back.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):  # the other side is gone, so this one ends
            while data := await reader.read(_CHUNK):
                if self._delay:
                    await asyncio.sleep(self._delay)
                await self._open.wait()
                writer.write(data)
                await writer.drain()
