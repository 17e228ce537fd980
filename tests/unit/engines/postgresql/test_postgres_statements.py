"""The splitter of globals: exactly PostgreSQL's quoting, and nothing else gets through."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.engines.postgresql.dump.statements import Unparsable, split, words

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)


def literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def escaped(text: str) -> str:
    return "E'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def identifier(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


QUOTED = st.one_of(
    TEXT.map(literal),
    TEXT.map(escaped),
    TEXT.filter(bool).map(identifier),
    TEXT.filter(lambda t: "$q$" not in t + "$").map(lambda t: f"$q${t}$q$"),
)


@given(st.lists(st.lists(QUOTED, min_size=1, max_size=4), max_size=4))
def test_quoted_text_never_ends_a_statement(statements: list[list[str]]) -> None:
    wanted = [" ".join(["SELECT", *parts]) for parts in statements]
    assert split(";\n".join([*wanted, ""])) == wanted


@given(QUOTED)
def test_a_quoted_thing_is_one_word(quoted: str) -> None:
    assert [token for _, token in words(f"x {quoted} y")] == ["x", quoted, "y"]


@given(st.text(string.printable, max_size=60))
def test_any_text_is_split_or_refused(text: str) -> None:
    try:
        parts = split(text)
    except Unparsable:
        return
    assert all(part and not part.isspace() for part in parts)


def test_comments_and_restrictions_are_dropped() -> None:
    text = "-- one; two\n\\restrict aB3\nSET x = 'on'; /* a /* b; */ c */\n\\unrestrict aB3\n"
    assert split(text) == ["SET x = 'on'"]


def test_strings_of_a_server_where_a_backslash_escapes_say_so() -> None:
    """Its dumps begin with the setting; a text that only looks like it changes nothing."""
    off, on = (f"SET standard_conforming_strings = {word}" for word in ("off", "on"))
    escaping, plain = r"COMMENT ON ROLE a IS 'x\\;''y\';z'", r"COMMENT ON ROLE a IS 'x\'"
    assert split(f"{off};\n{escaping};\n{on};\n{plain};\n") == [
        r"COMMENT ON ROLE a IS  E'x\\;''y\';z'",
        plain,
    ]
    forged = f"COMMENT ON ROLE a IS '\n{off};\n'"
    assert split(f"{forged};\n{plain};") == [forged, plain]


@pytest.mark.parametrize(
    "text",
    [
        "SELECT 1",
        "SELECT 'open;",
        'SELECT "open;',
        "SELECT $a$ open;",
        "/* open;",
        "\\! rm -rf /\n",
        "\\restrict x y z\n",
        "SELECT \\g\n;",
        '"";',
    ],
)
def test_anything_unexpected_is_refused(text: str) -> None:
    with pytest.raises(Unparsable):
        split(text)
