"""A command's input and output, however much of it there is."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.excerpt import MOST_BYTES, Excerpt
from workers.execution import Ending

if TYPE_CHECKING:
    from tests.integration.execution.conftest import Bench

_MEBIBYTE = 1024 * 1024


def test_fifty_megabytes_on_one_line_pass_through_whole_and_bounded(bench: Bench) -> None:
    digest = hashlib.sha256()
    largest = 0

    def take(output: bytes) -> None:
        nonlocal largest
        digest.update(output)
        largest = max(largest, len(output))

    size = 50 * _MEBIBYTE
    execution = bench.run("sh", "-c", f"head -c {size} /dev/zero | tr '\\0' x", sink=take)
    assert (execution.exit_code, execution.output_bytes) == (0, size)
    assert digest.hexdigest() == hashlib.sha256(b"x" * size).hexdigest()
    assert largest <= 128 * 1024
    assert len(execution.tail) <= MOST_BYTES


def test_bytes_that_are_no_text_pass_through(bench: Bench) -> None:
    execution = bench.run("printf", r"\377\376\000\200")
    assert bench.text == execution.tail == b"\xff\xfe\x00\x80"


def test_output_and_errors_come_in_the_order_they_were_written(bench: Bench) -> None:
    bench.run("sh", "-c", "for n in 1 2 3; do echo out$n; echo err$n >&2; done")
    assert bench.text.split() == [b"out1", b"err1", b"out2", b"err2", b"out3", b"err3"]


def test_output_arrives_while_the_command_runs(bench: Bench) -> None:
    execution = bench.run("sh", "-c", "printf ready; sleep 60", should_stop=bench.stop_when_ready)
    assert execution.ending is Ending.stopped


def test_the_last_bytes_are_not_lost(bench: Bench) -> None:
    for size in (1, 65_536, 65_537, 200_000):
        bench.output.clear()
        bench.run("head", "-c", str(size), "/dev/zero")
        assert len(bench.text) == size


def test_a_prompt_that_nobody_reads_blocks_nothing(bench: Bench) -> None:
    execution = bench.run("sh", "-c", "echo done", stdin=b"p" * _MEBIBYTE)
    assert (execution.exit_code, execution.tail) == (0, b"done\n")


def test_a_closed_input_is_no_error(bench: Bench) -> None:
    execution = bench.run("sh", "-c", "exec 0<&-; echo ready; sleep 0.05", stdin=b"p" * _MEBIBYTE)
    assert execution.exit_code == 0


def test_a_prompt_larger_than_a_pipe_comes_back_whole(bench: Bench) -> None:
    prompt = bytes(range(256)) * 4 * 1024
    bench.run("cat", stdin=prompt)
    assert bench.text == prompt


def test_an_empty_prompt_is_an_end_of_file(bench: Bench) -> None:
    assert bench.run("cat").exit_code == 0


def test_endless_output_does_not_hide_a_stop(bench: Bench) -> None:
    seen = 0

    def take(output: bytes) -> None:
        nonlocal seen
        seen += len(output)

    execution = bench.run("yes", sink=take, should_stop=lambda: "enough" if seen > _MEBIBYTE else None)
    assert execution.ending is Ending.stopped
    assert execution.output_bytes == seen


def test_a_stranger_who_holds_the_output_open_keeps_nobody_waiting(bench: Bench) -> None:
    ends: list[int] = []

    def take_hold() -> str | None:
        if b"ready" not in bench.text:
            return None
        ends.append(os.open(f"/proc/{int(bench.text.split()[1])}/fd/1", os.O_WRONLY))
        return "enough"

    execution = bench.run("sh", "-c", "echo ready $$; sleep 60", should_stop=take_hold)
    os.close(ends[0])
    assert execution.ending is Ending.stopped


@pytest.mark.parametrize("where", ["sink", "should_stop"])
def test_a_failure_of_the_caller_passes_on(bench: Bench, where: str) -> None:
    def fail(*_: object) -> None:
        raise OverflowError(where)

    callbacks: Any = {where: fail}
    with pytest.raises(OverflowError, match=where):
        bench.run("yes", **callbacks)


@given(st.lists(st.binary(max_size=40_000), max_size=6))
def test_an_excerpt_is_the_beginning_and_the_end(chunks: list[bytes]) -> None:
    excerpt = Excerpt()
    for chunk in chunks:
        excerpt.add(chunk)
    whole, kept = b"".join(chunks), bytes(excerpt)
    assert len(kept) <= MOST_BYTES
    assert excerpt.total == len(whole)
    if len(whole) <= MOST_BYTES:
        assert kept == whole
    else:
        head, _, rest = kept[:2048], *kept[2048:].split(b" bytes left out ...\n", 1)
        assert whole.startswith(head)
        assert whole.endswith(rest)
        missing = int(kept[2048:].split(b" ", 2)[1])
        assert len(head) + missing + len(rest) == len(whole)
