"""Dumps of PostgreSQL and what comes back from them, for every major."""

from collections.abc import Iterator

import pytest

from demo.fingerprint import differences, fingerprint
from fixtures.postgres import Log, PostgresServer, ServerFactory, Taken, a_guard, restore, take
from fixtures.rich_data import LATIN, ODD, fill
from holdfast.domain.errors import EvidenceMissing
from holdfast.engines.postgresql.client.address import connect
from holdfast.engines.postgresql.client.tools import MAJORS
from holdfast.engines.postgresql.dump.inventory import count


@pytest.fixture(scope="module", params=MAJORS)
def full(request: pytest.FixtureRequest, start_postgres) -> PostgresServer:
    made = start_postgres(request.param, "shared")
    made.wipe()
    fill(made)
    return made


@pytest.fixture(scope="module")
def taken(full: PostgresServer) -> Taken:
    return take(full.engine, full.address)


def test_a_probe_tells_version_and_size(full: PostgresServer) -> None:
    probe = full.engine.probe(full.address)
    assert probe.major == full.place.version
    assert probe.version.startswith(probe.major)
    assert probe.size > 1_000_000
    assert ODD in probe.facts["databases"]


def test_a_dump_holds_every_database_and_proves_it(full: PostgresServer, taken: Taken) -> None:
    assert [m.database for m in taken.dump.members] == [None, "main", LATIN, ODD]
    names = [member.name for member in taken.dump.members]
    assert all(name.replace(".", "").replace("-", "").replace("_", "").isalnum() for name in names)
    for member in taken.dump.members:
        facts = taken.member_facts[member.name]
        assert [p["exitStatus"] for p in facts["processes"]] == [0]
        assert facts["bytes"] == len(taken.plain[member.name])
    assert taken.dump.inventory == full.engine.inventory(full.address)
    rows = {(t.database, t.name): t.rows for t in taken.dump.inventory.tables}
    assert rows["main", "shop.customer"] == 2000
    assert rows["main", "public.parent"] == 1
    assert rows["main", "shop.purchase_2024"] + rows["main", "shop.purchase_rest"] == 3000
    assert rows[ODD, "public.t"] == 10


def test_examining_reads_what_was_dumped(full: PostgresServer, taken: Taken) -> None:
    for member in taken.dump.members:
        facts = full.engine.examine(member, taken.fetch(member.name))
        assert facts["entries"] > 0
        if member.database is not None:
            counted = sum(t.database == member.database for t in taken.dump.inventory.tables)
            assert facts["tableData"] >= counted


@pytest.mark.parametrize("index", [0, 1])
def test_examining_refuses_what_is_not_a_dump(
    full: PostgresServer, taken: Taken, index: int
) -> None:
    member = taken.dump.members[index]
    for bad in (b"", b"no dump at all\n" * 100, taken.plain[member.name][:300]):
        with pytest.raises(EvidenceMissing):
            full.engine.examine(member, iter([bad]))


def test_examining_hands_on_what_the_store_says(full: PostgresServer, taken: Taken) -> None:
    def broken() -> Iterator[bytes]:
        yield taken.plain[taken.dump.members[1].name][:100]
        raise EvidenceMissing("the digest differs")

    with pytest.raises(EvidenceMissing, match="the digest differs"):
        full.engine.examine(taken.dump.members[1], broken())


def test_a_restore_into_the_same_server_brings_everything_back(
    full: PostgresServer, taken: Taken
) -> None:
    before = fingerprint(full.address)
    full.execute("UPDATE shop.customer SET full_name = 'gone'; DROP TABLE parent CASCADE")
    full.execute("ALTER ROLE reporter PASSWORD 'changed'; COMMENT ON ROLE readers IS 'changed'")
    full.execute("CREATE DATABASE extra")
    log = Log()
    loaded = restore(full.engine, full.address, taken, log)
    assert loaded == taken.dump.inventory
    assert differences(before, fingerprint(full.address)) == []
    assert any("extra" in line and "dropped" in line for line in log.lines)
    assert not leftovers(full)


def test_a_discarded_restore_leaves_the_target_as_it_was(
    full: PostgresServer, taken: Taken
) -> None:
    full.execute("REASSIGN OWNED BY lead TO admin; DROP ROLE lead")
    before = fingerprint(full.address)
    log = Log()
    engine, attempt = full.engine, log.attempt("discarded")
    engine.stage(full.address, taken.dump, taken.fetch, attempt, a_guard())
    assert leftovers(full)
    assert (
        differences(
            before,
            {
                **fingerprint(full.address),
                "roles": before["roles"],
                "memberships": before["memberships"],
            },
        )
        == []
    )
    assert "as it was" in engine.discard(full.address, attempt)
    assert "as it was" in engine.discard(full.address, attempt)
    assert differences(before, fingerprint(full.address)) == []
    assert not leftovers(full)


def leftovers(server: PostgresServer) -> list[object]:
    return server.execute("SELECT datname FROM pg_database WHERE datname LIKE 'holdfast%'")


def test_counting_takes_no_locks_away_from_the_dump(blank_server: ServerFactory) -> None:
    """A server has room for so many, and `pg_dump` holds one on each table to its end."""
    server = blank_server(max(MAJORS))
    server.execute(
        "DO $$ BEGIN FOR i IN 1..400 LOOP"
        " EXECUTE format('CREATE TABLE t_%s (a int PRIMARY KEY)', i);"
        " EXECUTE format('INSERT INTO t_%s SELECT generate_series(1, %s)', i, i % 3);"
        " END LOOP; END $$"
    )
    held = "SELECT count(*) FROM pg_locks WHERE pid = pg_backend_pid()"
    with connect(server.address) as session:
        session.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        snapshot = session.execute("SELECT pg_export_snapshot()").fetchone()
        found = count(session, "main", {("public", "t_7"): 9})
        (locks,) = session.execute(held).fetchone() or (0,)
        assert locks < 100
        with connect(server.address) as other:
            other.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
            other.execute(f"SET TRANSACTION SNAPSHOT '{snapshot[0]}'")  # type: ignore[index]
    rows = {table.name: table.rows for table in found.tables}
    assert len(rows) == 400
    assert rows["public.t_7"] == 9
    assert (rows["public.t_1"], rows["public.t_300"], rows["public.t_400"]) == (1, 0, 1)
