"""The splitter of plain dumps: quoting, bodies, rows and every place where a file may be cut."""

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.domain.errors import EvidenceMissing
from holdfast.engines.postgresql.dump.script import (
    CommentLine,
    CopyRows,
    PsqlCommand,
    Script,
    Statement,
)

DUMP = rb"""--
-- PostgreSQL database dump
--

\restrict abc123

SET standard_conforming_strings = on;
CREATE FUNCTION public.f() RETURNS int LANGUAGE plpgsql AS $body$ begin return ';'; end; $body$;
CREATE FUNCTION public.g(a int) RETURNS int
    LANGUAGE sql
    BEGIN ATOMIC
 SELECT CASE WHEN (a > 1) THEN 1 ELSE 2 END;
 SELECT 3;
END;
CREATE RULE r AS ON INSERT TO public.t DO (SELECT 1; SELECT 2);
CREATE TABLE public."odd ; ""name"" x" (
    a text DEFAULT E'it\'s ''x'';' /* not /* the */ ; end */, b text DEFAULT ';');
INSERT INTO t VALUES ('a''b;c'), ($$x;$y$z$$), ('back\'); -- a; remark
COPY public."odd ; ""name"" x" (a, b) FROM stdin;
one	\N
\\.	two
three\\n	x
\.

SELECT pg_catalog.setval('public.s', 3, true);
COPY public.empty (a) FROM stdin;
\.
\unrestrict abc123
-- PostgreSQL database dump complete
"""


def cut(text: bytes, sizes: list[int]) -> Iterator[bytes]:
    position = 0
    for size in [*sizes, len(text)]:
        yield text[position : position + size]
        position += size


def read(text: bytes, sizes: list[int] | None = None) -> list[object]:
    found: list[object] = []
    for item in Script(cut(text, sizes or [])).items():
        if isinstance(item, CopyRows):
            found.append((item.text, b"".join(item.chunks)))
        else:
            found.append(item)
    return found


def test_a_dump_comes_apart_where_psql_would_take_it_apart() -> None:
    items = read(DUMP)
    statements = [item.text for item in items if isinstance(item, Statement)]
    assert [s.split(b"(")[0].split(b" VALUES")[0] for s in statements] == [
        b"SET standard_conforming_strings = on",
        b"CREATE FUNCTION public.f",
        b"CREATE FUNCTION public.g",
        b"CREATE RULE r AS ON INSERT TO public.t DO ",
        b'CREATE TABLE public."odd ; ""name"" x" ',
        b"INSERT INTO t",
        b"SELECT pg_catalog.setval",
    ]
    assert statements[2].endswith(b"SELECT 3;\nEND")
    rows = [item for item in items if isinstance(item, tuple)]
    assert [body for _, body in rows] == [b"one\t\\N\n\\\\.\ttwo\nthree\\\\n\tx\n", b""]
    assert [i.text for i in items if isinstance(i, PsqlCommand)] == [
        r"\restrict abc123",
        r"\unrestrict abc123",
    ]
    remarks = [item.text for item in items if isinstance(item, CommentLine)]
    assert remarks[1] == "PostgreSQL database dump"
    assert remarks[-1] == "PostgreSQL database dump complete"


@given(st.lists(st.integers(1, 60), max_size=60))
def test_it_does_not_matter_how_the_bytes_arrive(sizes: list[int]) -> None:
    assert read(DUMP, sizes) == read(DUMP)


@pytest.mark.parametrize(
    "text",
    [
        b"CREATE TABLE a (",
        b"CREATE TABLE a (b int)",
        b"INSERT INTO a VALUES ('x",
        rb"INSERT INTO a VALUES (E'x\');",
        b"SELECT $$x$ $y$",
        b"/* never /* closed */",
        b"COPY a FROM stdin;\n1\n2\n",
        b"COPY a FROM stdin;\n1\n\\",
        b'CREATE TABLE "a;',
        b"SELECT 1 \\gexec\n;",
        b"CREATE FUNCTION f() BEGIN ATOMIC SELECT 1;",
    ],
)
def test_what_is_cut_off_or_no_sql_is_refused(text: bytes) -> None:
    with pytest.raises(EvidenceMissing):
        read(text)


def test_a_reader_may_leave_rows_unread() -> None:
    kinds = [type(item).__name__ for item in Script(iter([DUMP])).items()]
    assert kinds.count("CopyRows") == 2
    assert kinds.count("Statement") == 7
