"""Patterns of the v1 API and the slugs made of what they admit."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.domain import naming
from holdfast.domain.backup import default_name
from holdfast.domain.naming import free_slug, slug

PATTERNS = {
    name: value
    for name, value in vars(naming).items()
    if name.isupper() and isinstance(value, str) and name != "DESCRIPTION"
}
GOOD = {
    "NAME": ["Abc", "my app", "a-1", "A1 b2-c3"],
    "BACKUP_NAME": ["2026-01-20 11:19:53", "a/b:c", "Nightly"],
    "DESTINATION_NAME": ["My bucket", "b-2"],
    "DESTINATION_ID": ["my-bucket", "A1"],
    "DESTINATION_PREFIX": ["", "backups/", "a_b-c/"],
    "SOURCE_ID": ["my-addon", "a"],
    "COLOR": ["#fff", "#00AAff"],
    "HEX24": ["0" * 24, "abcdef0123456789abcdef01"],
}
BAD = {
    "NAME": ["", "1abc", "a--b", "a  b", "-a", "a-", "ü", "a;b", "$(x)", "a_b", "a/b"],
    "BACKUP_NAME": ["", "-a", "a::b", "a b ", "a;b", "`x`", "a|b", "a\\b"],
    "DESTINATION_NAME": ["", " a", "a/b", "a--b"],
    "DESTINATION_ID": ["", "a b", "-a", "a-"],
    "DESTINATION_PREFIX": ["/", "a", "a/b/", "../", "a b/"],
    "SOURCE_ID": ["", "1a", "a--b", "a_b"],
    "COLOR": ["fff", "#ffff", "#ggg", "#"],
    "HEX24": ["", "0" * 23, "0" * 25, "A" * 24],
}


@pytest.mark.parametrize(("pattern", "text"), [(p, t) for p in GOOD for t in GOOD[p]])
def test_what_is_admitted(pattern: str, text: str) -> None:
    assert re.fullmatch(PATTERNS[pattern], text)


@pytest.mark.parametrize(("pattern", "text"), [(p, t) for p in BAD for t in BAD[p]])
def test_what_is_not(pattern: str, text: str) -> None:
    assert not re.fullmatch(PATTERNS[pattern], text)


@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_newline_at_the_end_is_not_overlooked(pattern: str) -> None:
    assert not re.fullmatch(PATTERNS[pattern], f"{GOOD[pattern][-1]}\n")


@given(st.from_regex(naming.BACKUP_NAME, fullmatch=True).filter(lambda text: len(text) < 40))
def test_a_slug_is_a_plain_id(name: str) -> None:
    if name.isascii():
        assert re.fullmatch("[a-z0-9]+(-[a-z0-9]+)*", slug(name))


@given(st.text())
def test_a_slug_of_anything_holds_nothing_dangerous(text: str) -> None:
    made = slug(text)
    assert re.fullmatch("([a-z0-9]+(-[a-z0-9]+)*)?", made)
    assert slug(made) == made


@given(st.sets(st.integers(2, 30)))
def test_a_free_slug_is_free_and_the_first_that_is(numbers: set[int]) -> None:
    taken = {"my-app", *(f"my-app-{number}" for number in numbers)}
    made = free_slug("My App", taken.__contains__)
    assert made not in taken
    expected = next(n for n in range(2, 40) if n not in numbers)
    assert made == f"my-app-{expected}"


def test_a_slug_nobody_has_is_kept() -> None:
    assert free_slug("My App", lambda _: False) == "my-app"


def test_a_default_name_fits_the_pattern() -> None:
    made = default_name("2026-01-20T11:19:53.175Z")
    assert made == "2026-01-20 11:19:53"
    assert re.fullmatch(naming.BACKUP_NAME, made)
