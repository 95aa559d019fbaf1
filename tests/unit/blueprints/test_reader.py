"""Strict YAML: what is read, where it stands, and what is refused."""

from __future__ import annotations

import json

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from blueprints import reader
from blueprints.errors import BlueprintError
from blueprints.reader import MAX_BYTES, MAX_DEPTH, read

LOADERS = [yaml.SafeLoader] + ([yaml.CSafeLoader] if hasattr(yaml, "CSafeLoader") else [])


@pytest.fixture(params=LOADERS, ids=lambda loader: str(loader.__name__))
def loader(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> object:
    """Read with libyaml and without it: a machine may lack it."""
    monkeypatch.setattr(reader, "_LOADER", request.param)
    return request.param


def refused(text: str | bytes) -> BlueprintError:
    with pytest.raises(BlueprintError) as caught:
        read(text, "f.yaml")
    return caught.value


@pytest.mark.usefixtures("loader")
def test_a_line_is_known_for_every_key_and_item() -> None:
    document = read("a: 1\nb:\n  - x\n  - c: 2\n\n    d: |\n      one\n      two\n", "f.yaml")
    assert document.value == {"a": 1, "b": ["x", {"c": 2, "d": "one\ntwo\n"}]}
    assert [document.line(path) for path in [("a",), ("b",), ("b", 0), ("b", 1, "c"), ("b", 1, "d")]] == [1, 2, 3, 4, 6]
    assert document.line(("b", 1, "missing")) == 4
    assert document.error(("b", 1, "d"), "m", "e", inner=2).line == 8


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("on", "on"),
        ("yes", "yes"),
        ("1:30", "1:30"),
        ("2026-01-01", "2026-01-01"),
        ("0x10", "0x10"),
        ("1_000", "1_000"),
        (".inf", ".inf"),
        ("'5'", "5"),
        ("true", True),
        ("null", None),
        ("~", None),
        ("-7", -7),
        ("1e3", 1000.0),
        (".5", 0.5),
    ],
)
def test_plain_values_follow_the_core_schema_of_yaml_1_2(text: str, value: object) -> None:
    assert read(f"a: {text}\n", "f.yaml").value == {"a": value}


@pytest.mark.usefixtures("loader")
@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("a: 1\nb: &x [1]\n", 2, "anchor or an alias"),
        ("a: 1\n&x b: 1\n", 2, "not plain text"),
        ("a: &x 1\nb: *x\n", 1, "anchor or an alias"),
        ("a: 1\nb: !!python/object/apply:os.system [ls]\n", 2, "uses the tag"),
        ("a: ! x\n", 1, "uses the tag"),
        ("a: 1\nb: 2\na: 3\n", 3, "given twice, first in line 1"),
        ("a: 1\n---\nb: 1\n", 2, "second document"),
        ("%YAML 1.1\n---\na: 1\n", 1, "directive"),
        ("? [a]\n: 1\n", 1, "not plain text"),
        ("a: 1\nb:\n\tc: 1\n", 3, "indented with a tab"),
        ("a: 1\nb: c: d\n", 2, "cannot be read"),
        ("a: 'x\n", 2, "cannot be read"),
        ("a: 1\nb: \x07\n", 2, "U+0007"),
        ("a: \ud800\n", 1, "U+D800"),
        ('a: 1\nb: "\\0"\n', 2, "control character"),
        ("a: " + "9" * 5000, 1, "out of any range"),
        ("a: 1e999", 1, "out of any range"),
    ],
)
def test_what_is_refused_is_named_with_its_line(text: str, line: int, says: str) -> None:
    error = refused(text)
    assert says in str(error)
    assert str(error).startswith(f"f.yaml:{line}: ")


def test_bytes_that_are_not_utf8_are_refused_with_their_line() -> None:
    assert str(refused(b"a: 1\nb: \xff\n")) == "f.yaml:2: the file is not UTF-8; expected text in UTF-8"


def test_a_byte_order_mark_is_no_part_of_the_first_key() -> None:
    assert read(b"\xef\xbb\xbfa: 1\n", "f.yaml").value == {"a": 1}


@pytest.mark.parametrize("text", ["#" * (MAX_BYTES + 1), b"#" * (MAX_BYTES + 1), "\u20ac" * (MAX_BYTES // 2)])
def test_a_file_that_is_too_large_is_refused_before_it_is_parsed(text: str | bytes) -> None:
    assert "larger than 256 KiB" in str(refused(text))


@pytest.mark.usefixtures("loader")
def test_nesting_is_bounded_in_flow_and_in_block_style() -> None:
    deepest = "[" * (MAX_DEPTH - 1) + "]" * (MAX_DEPTH - 1)
    read(f"a: {deepest}\n", "f.yaml")
    assert "nested deeper" in str(refused(f"a: [{deepest}]\n"))
    assert "nested deeper" in str(refused("a: " + "[" * 100_000))
    assert "nested deeper" in str(refused("".join(" " * depth + "a:\n" for depth in range(40))))


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**12), 10**12) | st.text(st.characters(codec="utf-8"), max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text("abc: #-\u00e9", max_size=5), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(PLAIN)
def test_whatever_yaml_can_write_of_json_is_read_back_equal(value: object) -> None:
    written = yaml.safe_dump({"top": value}, allow_unicode=True)
    try:
        document = read(written, "f.yaml")
    except BlueprintError as error:
        assert "control character" in str(error) or "anchor" in str(error)  # noqa: PT017 - either outcome is right
    else:
        assert document.value == {"top": value}


@given(st.text(st.sampled_from(":-[]{}&*!|>'\"%@#?,ab1 \n\t\x00\ud800"), max_size=60))
def test_no_text_brings_anything_but_a_document_or_a_blueprint_error(text: str) -> None:
    try:
        document = read(text, "f.yaml")
    except BlueprintError as error:
        assert error.file == "f.yaml"  # noqa: PT017 - either outcome is right
    else:
        json.dumps(document.value)
