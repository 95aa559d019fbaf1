"""The standard streams of a running command: feeds its input, and passes its output on in batches."""

from __future__ import annotations

import selectors
import time
from typing import TYPE_CHECKING

from workers.excerpt import Excerpt

if TYPE_CHECKING:
    import io
    from collections.abc import Callable

    from workers.tree import Tree

_BATCH_BYTES = 16 * 1024  # of output, before the sink is called ...
_BATCH_SECONDS = 0.2  # ... or the longest that a byte waits for that
_READ_BYTES = 64 * 1024  # a pipe holds as much
_DRAIN_BYTES = 1024 * 1024  # more than a pipe holds


class Streams:
    """Moves bytes to and from a tree, without ever blocking on it.

    Args:
        tree: Whose streams.
        selector: Empty; used for nothing else.
        stdin: What the command may read; a command that does not want it is no error.
        sink: Gets all output, in batches.

    Attributes:
        excerpt: The output's beginning, end and size.
        ended: Whether the tree's end has been reported.
    """

    def __init__(
        self, tree: Tree, selector: selectors.BaseSelector, stdin: bytes, sink: Callable[[bytes], None]
    ) -> None:
        self.excerpt = Excerpt()
        self.ended = False
        self._tree = tree
        self._selector = selector
        self._sink = sink
        self._unsent = memoryview(stdin)
        self._batch = bytearray()
        self._batch_due = 0.0
        selector.register(tree.reports, selectors.EVENT_READ, self._see_the_end)
        selector.register(tree.output, selectors.EVENT_READ, self._read)
        if stdin:
            selector.register(tree.stdin, selectors.EVENT_WRITE, self._write)
        else:
            tree.stdin.close()

    def pump(self, until: float) -> None:
        """Moves what there is to move, or waits for that.

        Args:
            until: The clock (`time.monotonic`) at which to stop waiting.
        """
        if self._batch:
            until = min(until, self._batch_due)
        for key, _ in self._selector.select(max(0.0, until - time.monotonic())):
            key.data()
        if len(self._batch) >= _BATCH_BYTES or time.monotonic() >= self._batch_due:
            self._flush()

    def drain(self) -> None:
        """Passes on what the dead left in the pipe, but follows no stranger who got hold of its other end."""
        until = self.excerpt.total + _DRAIN_BYTES
        while self.excerpt.total < until and self._read():
            pass
        self._flush()

    def _see_the_end(self) -> None:
        self.ended = True

    def _read(self) -> bool:
        """Reads once; says whether there was anything."""
        if self._tree.output.closed:
            return False
        chunk = self._tree.output.read(_READ_BYTES)
        if chunk == b"":
            self._close(self._tree.output)
        if not chunk:  # None: nothing at the moment
            return False
        if not self._batch:
            self._batch_due = time.monotonic() + _BATCH_SECONDS
        self._batch += chunk
        self.excerpt.add(chunk)
        return True

    def _write(self) -> None:
        try:
            written = self._tree.stdin.write(self._unsent[:_READ_BYTES])
        except BrokenPipeError:
            written = len(self._unsent)  # nobody reads the rest
        self._unsent = self._unsent[written or 0 :]
        if not self._unsent:
            self._close(self._tree.stdin)

    def _close(self, end: io.FileIO) -> None:
        self._selector.unregister(end)
        end.close()

    def _flush(self) -> None:
        if self._batch:
            batch, self._batch = bytes(self._batch), bytearray()
            self._sink(batch)
