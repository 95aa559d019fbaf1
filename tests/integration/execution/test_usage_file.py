"""Usage reports, read while they are being written."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from workers.agent import Usage
from workers.agents.usage_file import UsageFile

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "usage.jsonl"


def _append(path: Path, text: str) -> None:
    with path.open("a") as file:
        file.write(text)


def test_no_file_is_no_usage(path: Path) -> None:
    assert UsageFile(path).read(ended=True) == Usage()


def test_reports_add_up_over_reads(path: Path) -> None:
    usage = UsageFile(path)
    _append(path, '{"input_tokens": 10, "output_tokens": 2, "cost_usd": 0.5}\n')
    assert usage.read() == Usage(10, 2, 0.5)
    _append(path, '{"input_tokens": 1}\n{"output_tokens": 3}\n')
    assert usage.read() == usage.read() == Usage(11, 5, 0.5)
    assert usage.read().total == 16


def test_a_partial_line_waits_for_its_rest(path: Path) -> None:
    usage = UsageFile(path)
    _append(path, '{"input_tok')
    assert usage.read() == Usage()
    _append(path, 'ens": 7}\n')
    assert usage.read() == Usage(7)


def test_a_last_line_without_a_line_break_counts_once_at_the_end(path: Path) -> None:
    usage = UsageFile(path)
    _append(path, '{"input_tokens": 7}')
    assert usage.read() == Usage()
    assert usage.read(ended=True) == usage.read(ended=True) == Usage(7)


@pytest.mark.parametrize(
    "line",
    [
        "nonsense",
        "[]",
        "7",
        "null",
        "{}",
        '{"tokens": 5}',
        '{"input_tokens": -1}',
        '{"input_tokens": 1000000001}',
        '{"input_tokens": 1' + "0" * 5000 + "}",
        '{"input_tokens": 1.5}',
        '{"input_tokens": "1"}',
        '{"input_tokens": true}',
        '{"input_tokens": null}',
        '{"cost_usd": -0.01}',
        '{"cost_usd": NaN}',
        '{"cost_usd": Infinity}',
        '{"cost_usd": 1e300}',
        '{"input_tokens": 5, "cost_usd": -1}',
        "[" * 10_000,
        '{"input_tokens": 1, "x": "' + "x" * 70_000 + '"}',
        "x" * 600_000,
    ],
)
def test_a_line_that_makes_no_sense_is_refused_and_counted(path: Path, line: str) -> None:
    usage = UsageFile(path)
    _append(path, line + '\n\n{"input_tokens": 3, "cache_read": {"of": "the provider"}}\n')
    assert usage.read() == Usage(3, refused=1)
    assert "not counted: 1." in str(usage.read().remark)


def test_bytes_that_are_no_text_are_refused(path: Path) -> None:
    path.write_bytes(b'\xff\xfe\n{"input_tokens": 3}\n')
    assert UsageFile(path).read() == Usage(3, refused=1)


def test_usage_never_goes_down_when_the_file_is_written_anew(path: Path) -> None:
    usage = UsageFile(path)
    _append(path, '{"input_tokens": 100}\n{"input_tokens": 100}\n')
    assert usage.read() == Usage(200)
    path.write_text('{"input_tokens": 1}\n')
    assert usage.read() == Usage(201)
    fresh = path.with_suffix(".new")
    fresh.write_text('{"input_tokens": 5}\n' * 9)
    fresh.replace(path)
    assert usage.read() == Usage(246)


@pytest.mark.parametrize("kind", ["pipe", "link", "directory"])
def test_only_a_plain_file_is_read(path: Path, kind: str) -> None:
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "link":
        path.symlink_to("/dev/zero")
    else:
        path.mkdir()
    assert UsageFile(path).read(ended=True) == Usage()


def test_a_flood_is_read_only_so_far(path: Path) -> None:
    path.write_bytes(b"")
    os.truncate(path, 1 << 40)
    assert UsageFile(path).read(ended=True) == Usage(refused=1)


_reports = st.fixed_dictionaries(
    {}, optional={"input_tokens": st.integers(0, 10**9), "output_tokens": st.integers(0, 10**9)}
).filter(bool)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(reports=st.lists(_reports, max_size=8), cuts=st.lists(st.integers(0, 600), max_size=6))
def test_the_sum_does_not_depend_on_when_the_file_is_read(
    path: Path, reports: list[dict[str, int]], cuts: list[int]
) -> None:
    text = "".join(json.dumps(report) + "\n" for report in reports).encode()
    path.unlink(missing_ok=True)
    usage = UsageFile(path)
    ends = [*sorted(min(cut, len(text)) for cut in cuts), len(text)]
    totals: list[int] = []
    for start, end in zip([0, *ends], ends, strict=False):
        with path.open("ab") as file:
            file.write(text[start:end])
        totals.append(usage.read().total)
    expected = sum(sum(report.values()) for report in reports)
    assert totals[-1] == expected
    assert totals == sorted(totals)
    assert usage.read(ended=True) == usage.read()
