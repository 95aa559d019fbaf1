"""Scopes: which paths they cover, when two of them meet, and how patterns are read.

The properties compare them with regular expressions. A pattern is drawn as text together with the expressions of its
alternatives, so that nothing here reads the language the way the code under test does.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise, product
from sys import maxunicode

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from orchestrator.domain.charset import fold_case
from orchestrator.domain.scope import Scope, normalise, outside
from orchestrator.errors import InputError

NAME = "[^/]+"

# What a pattern's segment is made of, with the same as a regular expression. In each table any two entries that share
# a character share one of the letters beside it.
PLAIN = {"a": "a", "b": "b", "*": "[^/]*", "?": "[^/]", "[ab]": "[ab]", "[!a]": "[^a/]"}
PLAIN_LETTERS = "ab"
RICH = PLAIN | {".": r"\.", r"\*": r"\*", "[^b]": "[^b/]", "[!b-z.]": "[^b-z./]", "[+-a]": "[+-.0-a]", "[]-]": r"[\]-]"}
RICH_LETTERS = "ab.*-]"
CASED = {"A": "A", "b": "b", "*": "[^/]*", "[A-Bx]": "[A-Bx]", "[!B]": "[^B/]", "?": "[^/]", "É": "É"}
CASED_LETTERS = "aAbBéÉ"


@dataclass(frozen=True)
class Drawn:
    """A pattern, and for each of its alternatives a regular expression over `/path`."""

    text: str
    regexes: tuple[str, ...]


def names(letters: str, longest: int) -> list[str]:
    spelt = ("".join(word) for length in range(1, longest + 1) for word in product(letters, repeat=length))
    return [name for name in spelt if name not in (".", "..")]


PATHS = ["/".join(path) for depth in (1, 2, 3, 4) for path in product(names(PLAIN_LETTERS, 2), repeat=depth)]


def segments(pieces: dict[str, str], most: int) -> st.SearchStrategy[tuple[str, str]]:
    """Draw one segment: its text and its regular expression."""

    def join(keys: list[str]) -> tuple[str, str]:
        regex = NAME if keys == ["*"] else "".join(pieces[key] for key in keys)
        return "".join(keys), regex

    chosen = st.lists(st.sampled_from(sorted(pieces)), min_size=1, max_size=most)
    allowed = chosen.filter(lambda keys: ("*", "*") not in pairwise(keys) and set(keys) != {"."})
    return allowed.map(join)


def draw_simple(parts: list[tuple[str, str]], trees: tuple[bool, bool, bool], before: str, after: str) -> Drawn:
    """Put segments together, with `**` in the gaps where `trees` says so."""
    texts: list[str] = []
    regex = ""
    for gap in range(len(parts) + 1):
        if trees[gap] or not parts:
            texts.append("**")
            regex += f"(?:/{NAME})*"
        if gap < len(parts):
            texts.append(parts[gap][0])
            regex += "/" + parts[gap][1]
    spells_a_name = not any(char in "*?[" for text in texts for char in text)
    beneath = f"(?:/{NAME})*" if after or spells_a_name else ""
    return Drawn(before + "/".join(texts) + after, (regex + beneath,))


SIMPLE = st.builds(
    draw_simple,
    st.lists(segments(PLAIN, 2), max_size=2),
    st.tuples(st.booleans(), st.booleans(), st.booleans()),
    st.sampled_from(["", "./"]),
    st.sampled_from(["", "/"]),
)


def draw_braced(options: list[Drawn]) -> Drawn:
    text = "{" + ",".join(option.text for option in options) + "}"
    return Drawn(text, tuple(regex for option in options for regex in option.regexes))


PATTERNS = st.recursive(SIMPLE, lambda inner: st.lists(inner, min_size=1, max_size=3).map(draw_braced), max_leaves=4)

SEVERAL = st.lists(PATTERNS, min_size=1, max_size=4)
FILE_NAMES = st.text(
    alphabet=st.characters(exclude_characters="/\0", exclude_categories=["Cc", "Cs"]), min_size=1
).filter(lambda name: name.lower() not in (".", "..", ".git"))

UNTIMED = settings(deadline=None)  # a slow machine is no failure


@lru_cache(maxsize=1024)
def matched(drawn: Drawn) -> frozenset[str]:
    regexes = [re.compile(regex) for regex in drawn.regexes]
    return frozenset(path for path in PATHS if any(regex.fullmatch("/" + path) for regex in regexes))


# --- properties ------------------------------------------------------------------------------------------------------


@UNTIMED
@given(SEVERAL, st.lists(st.sampled_from(PATHS), max_size=60))
def test_a_scope_covers_exactly_what_its_patterns_match(drawn: list[Drawn], paths: list[str]) -> None:
    scope = Scope.of(pattern.text for pattern in drawn)
    assert outside(scope, paths) == [path for path in paths if not any(path in matched(pattern) for pattern in drawn)]


@UNTIMED
@given(segments(RICH, 4), st.sampled_from(names(RICH_LETTERS, 3)))
def test_a_segment_covers_exactly_the_names_it_matches(segment: tuple[str, str], name: str) -> None:
    text, regex = segment
    assert Scope.of([f"x*/{text}"]).covers(f"x/{name}") == bool(re.fullmatch(regex, name))


@UNTIMED
@given(PATTERNS, PATTERNS)
def test_scopes_meet_exactly_when_some_path_is_matched_by_both(left: Drawn, right: Drawn) -> None:
    # Two segments of two characters on either side: no shortest witness is deeper than four, or longer than two.
    one, two = Scope.of([left.text]), Scope.of([right.text])
    assert one.meets(two) == bool(matched(left) & matched(right))


@UNTIMED
@given(segments(RICH, 3), segments(RICH, 3))
@example((".*", r"\..*"), ("*.", r".*\."))
def test_segments_meet_exactly_when_some_name_is_matched_by_both(left: tuple[str, str], right: tuple[str, str]) -> None:
    both = [re.compile(regex) for _, regex in (left, right)]
    witness = any(all(regex.fullmatch(name) for regex in both) for name in names(RICH_LETTERS, 4))
    assert Scope.of(["x*/" + left[0]]).meets(Scope.of(["x*/" + right[0]])) == witness


@UNTIMED
@given(segments(PLAIN, 6), segments(PLAIN, 6))
def test_long_segments_meet_exactly_when_some_name_is_matched_by_both(
    left: tuple[str, str], right: tuple[str, str]
) -> None:
    # Six pieces, at least one of them a star, on either side: no shortest witness is longer than ten.
    both = [re.compile(regex) for _, regex in (left, right)]
    witness = any(all(regex.fullmatch(name) for regex in both) for name in names(PLAIN_LETTERS, 10))
    assert Scope.of(["x*/" + left[0]]).meets(Scope.of(["x*/" + right[0]])) == witness


@UNTIMED
@given(segments(CASED, 3), segments(CASED, 3), st.sampled_from(names(CASED_LETTERS, 3)))
def test_case_is_ignored_in_names_and_classes_where_a_scope_folds(
    left: tuple[str, str], right: tuple[str, str], name: str
) -> None:
    both = [re.compile(regex, re.IGNORECASE) for _, regex in (left, right)]
    one, two = (Scope.of([f"x*/{text}"], fold=True) for text, _ in (left, right))
    assert one.covers(f"X/{name}") == bool(both[0].fullmatch(name))
    assert one.meets(two) == any(all(regex.fullmatch(name) for regex in both) for name in names("abéx", 4))


@UNTIMED
@given(left=SEVERAL, right=SEVERAL, fold=st.booleans())
def test_meeting_is_symmetric_and_every_scope_meets_itself(
    left: list[Drawn], right: list[Drawn], *, fold: bool
) -> None:
    one, two = (Scope.of((pattern.text for pattern in side), fold=fold) for side in (left, right))
    assert one.meets(two) == two.meets(one)
    assert one.meets(one)


@UNTIMED
@given(left=SEVERAL, right=SEVERAL, fold=st.booleans())
def test_patterns_that_share_a_path_have_prefixes_one_above_the_other(
    left: list[Drawn], right: list[Drawn], *, fold: bool
) -> None:
    one, two = (Scope.of((pattern.text for pattern in side), fold=fold) for side in (left, right))
    sides = (zip(scope.patterns, scope.prefixes(), strict=True) for scope in (one, two))
    for (mine, above), (theirs, beneath) in product(*sides):
        if Scope.of([mine], fold=fold).meets(Scope.of([theirs], fold=fold)):
            depth = min(len(above), len(beneath))
            assert above[:depth] == beneath[:depth]


@UNTIMED
@given(SEVERAL, st.lists(st.sampled_from(PATHS), max_size=30))
def test_normalising_keeps_what_is_covered_and_changes_nothing_the_second_time(
    drawn: list[Drawn], paths: list[str]
) -> None:
    texts = [pattern.text for pattern in drawn]
    once = normalise(texts)
    assert normalise(once) == once == normalise(reversed(texts))
    each = [Scope.of([text]) for text in texts]
    assert [Scope(once).covers(path) for path in paths] == [any(one.covers(path) for one in each) for path in paths]


@UNTIMED
@given(text=st.text(alphabet=r"ab.*?[]!^-{},\/", min_size=1, max_size=12), fold=st.booleans())
def test_any_text_is_refused_or_has_one_way_to_be_written(text: str, *, fold: bool) -> None:
    try:
        once = normalise([text], fold=fold)
    except InputError:
        return
    assert normalise(once, fold=fold) == once
    assert Scope(once, fold).meets(Scope.of([text], fold=fold))


@UNTIMED
@given(FILE_NAMES)
def test_a_name_with_its_wildcards_escaped_covers_itself_and_what_is_beneath_it(name: str) -> None:
    scope = Scope.of(["x/" + re.sub(r"([*?\[\]{}\\])", r"\\\1", name)])
    assert scope.covers(f"x/{name}")
    assert scope.covers(f"x/{name}/y")
    assert not scope.covers(f"x/{name}y")


# --- examples --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pattern", "covered", "not_covered"),
    [
        ("src/auth", ["src/auth", "src/auth/x.py", "src/auth/a/b"], ["src", "src/authx", "x/src/auth"]),
        ("src/auth/", ["src/auth", "src/auth/x.py"], ["src/authx"]),
        ("src/auth/**", ["src/auth", "src/auth/x.py"], ["src/authx"]),
        ("src/auth/**/*", ["src/auth/x.py", "src/auth/a/b"], ["src/auth"]),
        ("src/auth/*", ["src/auth/x.py", "src/auth/.hidden"], ["src/auth", "src/auth/a/b"]),
        ("docs/*.md", ["docs/a.md", "docs/.md"], ["docs/a/b.md", "docs/a.md/b", "docs/a.MD"]),
        ("**/*.md", ["a.md", "docs/deep/er/a.md"], ["a.mdx"]),
        ("src/*/", ["src/a", "src/a/b"], ["src"]),
        ("src/**/test_*.py", ["src/test_a.py", "src/a/b/test_.py"], ["test_a.py", "src/test_a.pyc"]),
        ("v[0-9].[!0-9]", ["v1.x", "v9.-"], ["v1.2", "vx.x", "v1./"]),
        ("[]a-]", ["]", "a", "-"], ["b", "]/x"]),
        (r"app/\[slug\]/page.tsx", ["app/[slug]/page.tsx"], ["app/s/page.tsx"]),
        ("src/{auth,db/{models,views}}.py", ["src/auth.py", "src/db/views.py"], ["src/auth", "src/db.py"]),
        ("{src,docs/*}", ["src/deep/x", "docs/a"], ["docs", "docs/a/b"]),
        ("a{,.bak}", ["a", "a.bak", "a/x"], ["ab"]),
        ("[{,}]", ["{", ",", "}"], ["a"]),
        ("**", ["a", ".env", "a/b/c"], []),
        (".", ["a", "a/b"], []),
        ("./src", ["src/x"], ["x/src"]),
        (r"\!important", ["!important/x"], ["important"]),
        ("a,b", ["a,b"], ["a", "b"]),
        ("?", ["é", "\udcff"], ["ab", "a/b"]),
    ],
)
def test_what_patterns_cover(pattern: str, covered: list[str], not_covered: list[str]) -> None:
    assert outside(Scope.of([pattern]), covered + not_covered) == not_covered


@pytest.mark.parametrize(
    "path", ["", "/", "/a", "a/", "a//b", ".", "./a", "a/../b", "..", ".git", ".git/config", "a/.GIT/hooks", "a\0b"]
)
def test_what_git_cannot_store_is_never_covered(path: str) -> None:
    assert not Scope.of(["**", "a"]).covers(path)


@pytest.mark.parametrize(
    ("left", "right", "meet"),
    [
        ("src/auth", "src/auth/x.py", True),
        ("src/auth", "src/authx", False),
        ("src/auth/*.py", "src/*/x.*", True),
        ("src/auth/*.py", "src/auth/*.md", False),
        ("src/*", "src/a/b", False),
        ("src/a/**", "src/a", True),
        ("**/x", "x/**", True),
        ("**/test_*", "src/*_test", True),
        ("a/**/b", "a/*/c/**", True),
        ("a/*b", "a/[!b]", False),
        ("{a,b}/x", "{b,c}/*", True),
        ("{a,b}/x", "{c,d}/*", False),
        ("*.[ch]", "*.[d-z]", True),
        ("*.[ch]", "*.[i-z]", False),
        ("*[Gg]it", ".?it", False),
        ("*.git", ".[g]*", True),
        ("?.", ".?", False),
        (".[gh]it", ".[fg]it", False),
        (".*", "*.", True),
        ("Makefile", "makefile", False),
    ],
)
def test_what_meets(left: str, right: str, *, meet: bool) -> None:
    # Sharing only ., .. or .git is sharing nothing, for those are no paths.
    assert Scope.of([left]).meets(Scope.of([right])) == meet


def test_a_pattern_full_of_wildcards_is_compared_in_polynomial_time() -> None:
    left, right = Scope.of(["*a" * 500 + "c"]), Scope.of(["*b" * 500])
    assert not left.meets(right)
    assert left.meets(Scope.of(["*b" * 500 + "*"]))
    assert not left.covers("a" * 5000)
    deep = Scope.of(["/".join(["**", "a"] * 200 + ["c"])])
    assert not deep.meets(Scope.of(["/".join(["**", "b"] * 200)]))
    assert not deep.covers("/".join("a" * 2000))


def test_folding_ignores_case_one_character_for_one() -> None:
    scope = Scope.of(["Docs/É?.MD", "docs/é?.md", "DOCS/Straße"], fold=True)
    assert outside(scope, ["docs/éß.md", "DOCS/ÉX.md", "docs/STRAẞE/x", "docs/strasse"]) == ["docs/strasse"]
    assert set(scope.prefixes()) == {("docs",), ("docs", "straße")}
    assert not Scope.of(["[A]"], fold=True).meets(Scope.of(["[!a]"], fold=True))
    assert Scope.of(["Makefile"], fold=True).meets(Scope.of(["makeFILE/x"], fold=True))


def test_folding_twice_is_folding_once_and_nothing_has_case_beyond_the_table() -> None:
    folded = [fold_case(chr(point)) for point in range(0x20000)]
    assert all(len(char) == 1 and fold_case(char) == char for char in folded)
    beyond = "".join(map(chr, range(0x20000, maxunicode + 1)))
    assert beyond == beyond.lower() == beyond.casefold()


def test_scopes_with_and_without_case_are_not_compared() -> None:
    with pytest.raises(ValueError, match="folds case"):
        Scope.of(["a"]).meets(Scope.of(["a"], fold=True))


@pytest.mark.parametrize(
    ("patterns", "canonical"),
    [
        (["./src/{auth,db}/", "src/auth/x.py"], ("src/auth", "src/db")),
        (["b", "a", "b/**", "./b", "b/"], ("a", "b")),
        (["*/**"], ("**",)),
        (["**/*", "src"], ("**",)),
        (["src/**/*/**", "docs/**/**/x"], ("docs/**/x", "src/*/**")),
        (["src/**/x.py", "src"], ("src",)),
        (["[^a]", r"a\*\-b", r"x\]"], ("[!a]", r"a\*-b", "x]")),
        (["src/auth", "src/auth-x", "src"], ("src",)),
    ],
)
def test_how_patterns_are_normalised(patterns: list[str], canonical: tuple[str, ...]) -> None:
    assert normalise(patterns) == canonical
    assert Scope(tuple(patterns)).patterns == canonical


def test_folding_drops_what_differs_by_case_only() -> None:
    assert normalise(["src", "SRC/x", "Src"], fold=True) == ("src",)
    assert normalise(["src", "SRC/x", "Src"]) == ("SRC/x", "Src", "src")


@pytest.mark.parametrize(("patterns", "whole"), [(["**"], True), (["./", "a"], True), (["*/**"], True), (["a"], False)])
def test_the_whole_tree_is_known(patterns: list[str], *, whole: bool) -> None:
    assert Scope.of(patterns).whole_tree == whole


def test_prefixes_are_the_leading_names_of_each_pattern() -> None:
    scope = Scope.of(["src/auth", "src/db/*.py", "**/x", "docs/{a,b*}/c", r"\[x\]/?"])
    assert dict(zip(scope.patterns, scope.prefixes(), strict=True)) == {
        "src/auth": ("src", "auth"),
        "src/db/*.py": ("src", "db"),
        "**/x": (),
        "docs/a/c": ("docs", "a", "c"),
        "docs/b*/c": ("docs",),
        r"\[x]/?": ("[x]",),
    }


@pytest.mark.parametrize(
    ("pattern", "complaint"),
    [
        ("", "is empty"),
        ("  ", "is empty"),
        ("{a,}", "alternative that is empty"),
        ("/etc", "absolute"),
        ("/", "absolute"),
        ("{a,/b}", "absolute"),
        ("../x", "no path"),
        ("a/../b", "no path"),
        ("{.,a}./b", "no path"),
        ("a/./b", "no path"),
        ("a/[.]", "no path"),
        (".[gG]it/x", "no path"),
        (".git/config", "no path"),
        ("a/.GIT", "no path"),
        ("a//b", "two slashes"),
        (r"src\auth\x.py", "backslash"),
        ("src\\", "backslash"),
        ("a\0b", "control character"),
        ("a\nb", "control character"),
        ("a\udcffb", "control character"),
        ("a[b", "never closed"),
        ("[]", "never closed"),
        ("[!]", "never closed"),
        ("[a/b]", "/ within"),
        ("[[:alpha:]]", "named class"),
        ("[z-a]", "range"),
        ("{a,b", "never closed"),
        ("{" * 1000, "never closed"),
        ("a}", "never opened"),
        ("a**", "beside other text"),
        ("a/***", "beside other text"),
        ("{*,a}*b", "beside other text"),
        ("!docs", "cannot exclude"),
        ("a" * 1025, "longer than 1024"),
        ("?" * 1023 + "/", "longer than 1024"),
        ("{a,b}" * 9, "more than 256 alternatives"),
        ("{a,b,c,d}" * 4, "more than 200 patterns"),
    ],
)
def test_what_is_no_pattern_is_refused_with_a_remedy(pattern: str, complaint: str) -> None:
    with pytest.raises(InputError, match=re.escape(complaint)) as refusal:
        normalise([pattern])
    assert refusal.value.remedy


def test_a_scope_has_from_1_to_200_patterns() -> None:
    with pytest.raises(InputError, match="no pattern"):
        normalise([])
    assert len(normalise(f"a{number}" for number in range(200))) == 200
    with pytest.raises(InputError, match="more than 200"):
        normalise(f"a{number}" for number in range(201))
    with pytest.raises(InputError, match="more than 200"):
        normalise(["a"] * 201)


def test_a_text_is_not_taken_for_a_list_of_its_characters() -> None:
    with pytest.raises(InputError, match="list of patterns"):
        Scope.of("src")
