"""Dumps move to newer servers, and open with the stock tools alone."""

import subprocess

import pytest

from demo.fingerprint import differences, fingerprint
from fixtures.postgres import Log, PostgresServer, ServerFactory, Taken, restore, take
from fixtures.rich_data import ODD, fill
from holdfast.domain.errors import PreflightRefused


@pytest.fixture(scope="module")
def oldest(start_postgres) -> PostgresServer:
    made = start_postgres(14, "oldest")
    fill(made)
    return made


@pytest.fixture(scope="module")
def taken(oldest: PostgresServer) -> Taken:
    return take(oldest.engine, oldest.address)


@pytest.mark.parametrize("major", [15, 18])
def test_a_dump_of_the_oldest_restores_into_newer_ones(
    oldest: PostgresServer, taken: Taken, blank_server: ServerFactory, major: int
) -> None:
    target = blank_server(major)
    loaded = restore(oldest.engine, target.address, taken, Log())
    assert loaded == taken.dump.inventory
    found = differences(fingerprint(oldest.address), fingerprint(target.address))
    # Views print differently; 15 took CREATE on public from everybody, see the engine's README.
    expected = (" / views / ", " / schema public: ", " / pg_database_owner")
    assert [line for line in found if not any(words in line for words in expected)] == []


def test_restored_roles_can_log_in(
    oldest: PostgresServer, taken: Taken, blank_server: ServerFactory
) -> None:
    target = blank_server(18)
    restore(oldest.engine, target.address, taken, Log())
    text = f"postgresql://reporter:x'y@127.0.0.1:{target.place.port}/main"
    assert oldest.engine.parse(text).user == "reporter"
    assert target.execute("SELECT count(*) FROM shop.happy") == [(2000,)]


def test_a_dump_does_not_restore_into_an_older_server(
    oldest: PostgresServer, start_postgres, blank_server: ServerFactory
) -> None:
    newer = start_postgres(18, "blank")
    newer.wipe()
    newer.execute("CREATE TABLE t (a int)")
    dump = take(newer.engine, newer.address)
    before = fingerprint(oldest.address)
    with pytest.raises(PreflightRefused, match="must not be older") as caught:
        oldest.engine.preflight(oldest.address, dump.dump)
    assert len(caught.value.facts["obstacles"]) == 2
    assert fingerprint(oldest.address) == before


def test_an_archive_opens_with_pg_restore_alone(
    oldest: PostgresServer, taken: Taken, blank_server: ServerFactory
) -> None:
    target = blank_server(15)
    member = next(m for m in taken.dump.members if m.database == ODD)
    target.execute("CREATE DATABASE by_hand")
    tools = next(t for t in oldest.engine.tools() if t.major == 15)
    subprocess.run(
        [
            tools.program("pg_restore"),
            "--no-owner",
            "--exit-on-error",
            f"--dbname=host=127.0.0.1 port={target.place.port} user=admin dbname=by_hand",
        ],
        input=taken.plain[member.name],
        env={"PGPASSWORD": target.place.password.reveal()},
        check=True,
    )
    assert target.execute("SELECT sum(a) FROM public.t", "by_hand") == [(55,)]


def test_a_server_of_somebody_else_keeps_what_the_dump_lacks(
    oldest: PostgresServer, taken: Taken, blank_server: ServerFactory
) -> None:
    target = blank_server(15)
    target.execute("CREATE DATABASE precious")
    target.execute("CREATE TABLE kept AS SELECT 7 AS id", "precious")
    log = Log(keep_others=True)
    restore(oldest.engine, target.address, taken, log)
    assert target.execute("SELECT id FROM kept", "precious") == [(7,)]
    assert target.execute("SELECT count(*) FROM shop.customer") == [(2000,)]
    assert "database precious is not in the backup and stays as it is" in log.lines
