"""What archives hold of each table, compared on real servers."""

from collections.abc import Callable, Mapping

import pytest

from fixtures.postgres import (
    Log,
    PostgresServer,
    ServerFactory,
    Taken,
    restore,
    take,
)
from fixtures.rich_data import fill
from holdfast.contracts.drills import Content, ContentReadable
from holdfast.contracts.engine import Member
from holdfast.domain.errors import EvidenceMissing, NotSupported
from holdfast.engines.postgresql.client.address import conninfo
from holdfast.engines.postgresql.client.tools import newest
from holdfast.engines.postgresql.drills.content import LARGE_OBJECTS
from holdfast.kit.processes.process import Command, run

StartPostgres = Callable[[int, str], PostgresServer]


def content_of(server: PostgresServer, taken: Taken, piece: int = 1 << 16) -> dict[str, Content]:
    """Of all members, by database and table."""
    found: dict[str, Content] = {}
    for member in taken.dump.members:
        tables = server.engine.content(member, taken.fetch(member.name, piece))
        found |= {f"{member.database}: {name}": content for name, content in tables.items()}
    return found


def main_content(server: PostgresServer) -> Mapping[str, Content]:
    taken = take(server.engine, server.address)
    (member,) = [member for member in taken.dump.members if member.database == "main"]
    return server.engine.content(member, taken.fetch(member.name))


def test_a_restored_database_has_the_same_content(
    blank_server: ServerFactory, start_postgres: StartPostgres
) -> None:
    source = blank_server(15)
    assert isinstance(source.engine, ContentReadable)
    fill(source, awkward=True)
    source.execute(
        "SELECT pg_catalog.lo_from_bytea(4711::oid, convert_to(repeat('x', 100000), 'UTF8'))"
    )
    target = start_postgres(17, "content")
    target.wipe()
    target.execute("ALTER SYSTEM SET TimeZone = 'Asia/Kathmandu'")
    target.execute("SELECT pg_reload_conf()")
    taken = take(source.engine, source.address)
    before = content_of(source, taken)
    assert before == content_of(source, taken, piece=1777)
    assert before["main: shop.customer"].rows == 2000
    assert before["main: shop.purchase"].rows == 3000
    assert before[f"main: {LARGE_OBJECTS}"].rows >= 2
    assert before["main: public.ticket"].rows == 1
    assert "main: public.empty" not in before
    restore(target.engine, target.address, taken, Log())
    again = take(target.engine, target.address)
    assert content_of(target, again) == before
    assert all(
        facts["timeZone"] == "UTC" for name, facts in again.member_facts.items() if "dump" in name
    )
    target.execute("UPDATE shop.purchase SET amount = amount + 1 WHERE id = 17")
    target.execute("SELECT nextval('ticket')")
    after = content_of(target, take(target.engine, target.address))
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {"main: shop.purchase", "main: public.ticket"}
    target.wipe()


def test_rows_may_lie_in_other_partitions(blank_server: ServerFactory) -> None:
    server = blank_server(15)
    tables = (
        "CREATE TABLE logs (a int, b text, c timestamptz) PARTITION BY RANGE (a);"
        "CREATE TABLE low (c timestamptz, b text, a int);"
        "ALTER TABLE logs ATTACH PARTITION low FOR VALUES FROM (0) TO ({edge});"
        "CREATE TABLE high PARTITION OF logs FOR VALUES FROM ({edge}) TO (100)"
        " PARTITION BY RANGE (a);"
        "CREATE TABLE highest PARTITION OF high DEFAULT;"
        "INSERT INTO logs SELECT n, 'row ' || n, 'epoch' FROM generate_series(0, 99) n;"
    )
    server.execute(tables.format(edge=50))
    before = main_content(server)
    assert {name: content.rows for name, content in before.items()} == {"public.logs": 100}
    server.execute("DROP TABLE logs")
    server.execute(tables.format(edge=20))
    assert main_content(server) == before
    server.execute("UPDATE logs SET b = 'other' WHERE a = 30")
    assert main_content(server) != before


def test_the_columns_of_a_child_may_be_in_another_order(blank_server: ServerFactory) -> None:
    server = blank_server(15)
    server.execute(
        "CREATE TABLE parent (a int, z int); CREATE TABLE child (own int, z int, a int);"
        "ALTER TABLE child INHERIT parent; INSERT INTO child VALUES (1, 2, 3)"
    )
    before = take(server.engine, server.address)
    content = content_of(server, before)
    restore(server.engine, server.address, before, Log())
    (row,) = server.execute("SELECT * FROM child")
    assert row == (3, 2, 1), "the restored table has another order"
    assert content_of(server, take(server.engine, server.address)) == content


def test_what_sessions_set_makes_no_difference(blank_server: ServerFactory) -> None:
    """Archives that were made before ours were made in UTC: by pg_dump itself."""
    server = blank_server(16)
    server.execute(
        "CREATE TABLE moments (id int, at timestamptz, many timestamptz[], span tstzrange,"
        " clock timetz, plain timestamp, price money, words text);"
        "INSERT INTO moments SELECT n, t, ARRAY[t, NULL], tstzrange(t, t + '1 day'),"
        " '12:00+02', '2020-01-01', n * 1234.5::numeric::money, E'a\\tb: +01'"
        " FROM generate_series(-3, 400) n, LATERAL (SELECT '2019-12-31 23:30:00.25+00'"
        "::timestamptz + n * interval '1 day 37 minutes') AS t (t);"
        "INSERT INTO moments (id, at) VALUES (1000, 'infinity'), (1001, '0044-03-15 23:59:59 BC'),"
        " (1002, '0001-01-01 00:00:01'), (1003, '12345-12-31 23:59:59'), (1004, '1850-07-01')"
    )
    tools = newest(server.engine.tools_dir)
    found = []
    for zone in ("UTC", "Asia/Kathmandu", "America/St_Johns", "Europe/Amsterdam"):
        words = ["--format=custom", f"--dbname={conninfo(server.address, 'main', 'test')}"]
        environment = {"PGPASSWORD": server.address.password.reveal(), "PGTZ": zone}
        dump = run(Command([tools.program("pg_dump"), *words], env=environment))
        assert dump.status == 0, dump.stderr
        member = Member("main.dump", "pg_dump-custom", "main")
        found.append(server.engine.content(member, iter([dump.stdout])))
    assert found == [found[0]] * len(found)
    assert found[0]["public.moments"].rows == 409


def test_damage_and_rows_that_cannot_be_compared_are_named(blank_server: ServerFactory) -> None:
    server = blank_server(15)
    server.execute("CREATE TABLE t (a text); INSERT INTO t SELECT repeat('x', 1000)")
    taken = take(server.engine, server.address)
    (member,) = [member for member in taken.dump.members if member.database == "main"]
    whole = taken.plain[member.name]
    for end in (100, len(whole) // 2, len(whole) - 500):
        with pytest.raises(EvidenceMissing, match=r"cannot be read|ends inside"):
            server.engine.content(member, iter([whole[:end]]))
    inserts = b"-- PostgreSQL database dump\nINSERT INTO public.t VALUES (1);\n"
    with pytest.raises(NotSupported, match=r"public\.t come as INSERT"):
        server.engine.content(Member("imported.sql", "foreign-plain", None), iter([inserts]))
    (globals_member,) = [member for member in taken.dump.members if member.database is None]
    assert server.engine.content(globals_member, taken.fetch(globals_member.name)) == {}
    with pytest.raises(EvidenceMissing):
        server.engine.content(globals_member, iter([b"-- cut"]))
