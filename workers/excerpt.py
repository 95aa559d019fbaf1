"""A bounded piece of an unbounded output: how it began, and how it ended."""

from __future__ import annotations

MOST_BYTES = 16 * 1024
_HEAD_BYTES = 2 * 1024
_MARKER_BYTES = 64
_RECENT_BYTES = MOST_BYTES - _HEAD_BYTES - _MARKER_BYTES


class Excerpt:
    """Keeps at most 16 KiB of all that is added to it.

    Output of up to 16 KiB is kept whole; of more, the first 2 KiB and the last 14 KiB or so, with a line between them
    that says how much is missing. The beginning tells what was run, the end tells why it failed.
    """

    def __init__(self) -> None:
        self._head = b""
        self._recent = bytearray()
        self.total = 0

    def add(self, chunk: bytes) -> None:
        """Takes note of the next bytes of the output."""
        self.total += len(chunk)
        room = _HEAD_BYTES - len(self._head)
        if room:
            self._head += chunk[:room]
            chunk = chunk[room:]
        self._recent += chunk[-MOST_BYTES:]
        if len(self._recent) > 2 * MOST_BYTES:
            del self._recent[:-MOST_BYTES]

    def __bytes__(self) -> bytes:
        if self.total <= MOST_BYTES:
            return self._head + bytes(self._recent)
        left_out = self.total - _HEAD_BYTES - _RECENT_BYTES
        marker = b"\n... %d bytes left out ...\n" % left_out
        return self._head + marker + bytes(self._recent[-_RECENT_BYTES:])
