"""What goes wrong is said in a sentence, and nothing is called complete that is not."""

import os
import signal
from collections.abc import Callable
from dataclasses import replace

import pytest

from fixtures.mysql import MySQLServer, take
from fixtures.postgres import Log, a_guard, free_port
from holdfast.contracts.engine import EVERYTHING, Address, Dump
from holdfast.domain.errors import (
    AddonRefused,
    AddonUnavailable,
    ChildFailed,
    EvidenceMissing,
    Failure,
    Interrupted,
    PreflightRefused,
)
from holdfast.engines.mysql.restore import preflight
from holdfast.kit.seal import Secret


def with_rights(made: MySQLServer, privileges: str) -> Address:
    """A user with these on everything."""
    made.execute("CREATE USER modest IDENTIFIED BY 'm'", f"GRANT {privileges} ON *.* TO modest")
    return replace(made.address, user="modest", password=Secret("m"))


def fill(made: MySQLServer, rows: int = 20_000) -> None:
    made.execute(
        "CREATE TABLE main.big (id int PRIMARY KEY, v varchar(400))",
        f"INSERT INTO main.big SELECT seq, repeat(md5(seq), 10) FROM main.seq_1_to_{rows}",
    )


def test_a_wrong_password_is_named(mariadb: MySQLServer) -> None:
    wrong = replace(mariadb.address, password=Secret("wrong"))
    with pytest.raises(AddonRefused, match="refused the password of user admin"):
        mariadb.engine.probe(wrong)


def test_nobody_there_is_named(mariadb: MySQLServer) -> None:
    with pytest.raises(AddonUnavailable, match="no server answers"):
        mariadb.engine.probe(replace(mariadb.address, port=free_port()))


def test_limits_for_applications_are_not_ours(mariadb: MySQLServer) -> None:
    """A session of ours counts for hours, and waits for a store in a transaction."""
    limits = ("max_statement_time", "idle_transaction_timeout", "idle_write_transaction_timeout")
    try:
        mariadb.execute(*(f"SET GLOBAL {limit} = 7" for limit in limits))
        for limit in limits:
            assert mariadb.execute(f"SELECT @@{limit}") == [(0,)], limit
        assert int(mariadb.execute("SELECT @@wait_timeout")[0][0]) > 100_000
    finally:
        mariadb.execute(*(f"SET GLOBAL {limit} = 0" for limit in limits))


def test_a_missing_privilege_is_named_with_its_grant(mariadb: MySQLServer) -> None:
    modest = with_rights(mariadb, "SELECT")
    with pytest.raises(AddonRefused) as caught:
        mariadb.engine.probe(modest)
    assert "GRANT SHOW VIEW, TRIGGER, EVENT, LOCK TABLES ON *.* TO" in caught.value.message


def kill_child(source: object, made: MySQLServer) -> None:
    os.kill(source.pid, signal.SIGKILL)  # type: ignore[attr-defined]


def cut_connection(source: object, made: MySQLServer) -> None:
    """The one that reads the table, as an administrator would."""
    for (thread,) in made.execute(
        "SELECT id FROM information_schema.processlist WHERE info LIKE '%SQL_NO_CACHE%'"
        " AND id <> connection_id()"
    ):
        made.execute(f"KILL {thread}")


@pytest.mark.parametrize("harm", [kill_child, cut_connection])
def test_a_dump_that_breaks_off_is_none(
    mariadb: MySQLServer, harm: Callable[[object, MySQLServer], None]
) -> None:
    fill(mariadb, 200_000)
    with mariadb.engine.dump(mariadb.address, EVERYTHING, Log().attempt(), a_guard()) as session:
        source = session.open(session.members[-1])
        source.read(1 << 16)
        harm(source, mariadb)
        while source.read(1 << 20):
            pass
        with pytest.raises((ChildFailed, EvidenceMissing)):
            source.finish()
        with pytest.raises(EvidenceMissing):
            session.inventory()


def test_a_dump_that_is_told_to_stop_stops(mariadb: MySQLServer) -> None:
    fill(mariadb, 200_000)
    guard = a_guard()
    with mariadb.engine.dump(mariadb.address, EVERYTHING, Log().attempt(), guard) as session:
        source = session.open(session.members[-1])
        source.read(1 << 16)
        guard.stop(Interrupted("enough"))
        while source.read(1 << 20):
            pass
        with pytest.raises(Interrupted):
            source.finish()
    alive = "SELECT count(*) FROM information_schema.processlist WHERE user = 'admin'"
    assert mariadb.execute(alive)[0][0] <= 2


def test_no_password_is_in_an_argument_or_a_variable(mariadb: MySQLServer) -> None:
    fill(mariadb, 100_000)
    secret = mariadb.place.password.reveal().encode()
    with mariadb.engine.dump(mariadb.address, EVERYTHING, Log().attempt(), a_guard()) as session:
        source = session.open(session.members[-1])
        for what in ("cmdline", "environ"):
            with open(f"/proc/{source.pid}/{what}", "rb") as file:  # type: ignore[attr-defined]  # noqa: PTH123
                assert secret not in file.read()


def test_a_broken_view_is_left_out_and_said(mariadb: MySQLServer) -> None:
    mariadb.execute(
        "CREATE TABLE main.base (a int)",
        "CREATE VIEW main.broken AS SELECT a FROM main.base",
        "CREATE TABLE main.fine (a int)",
        "DROP TABLE main.base",
    )
    taken = take(mariadb.engine, mariadb.address)
    assert taken.dump.facts["skipped"] == ["main.broken"]
    assert any("view main.broken is broken and left out" in line for line in taken.said)


def changed(dump: Dump, **more: object) -> Dump:
    """The same dump of a server that differs."""
    databases = [{**each, **more} for each in dump.facts["databases"]]  # type: ignore[attr-defined]
    return replace(dump, facts={**dump.facts, "databases": databases})


def obstacles(made: MySQLServer, dump: Dump, address: Address | None = None) -> str:
    with pytest.raises(PreflightRefused) as caught:
        made.engine.preflight(address or made.address, dump)
    return caught.value.message


def test_what_the_target_lacks_is_found_first(mariadb: MySQLServer) -> None:
    dump = take(mariadb.engine, mariadb.address).dump
    found = obstacles(mariadb, changed(dump, collations=["utf8mb4_0900_ai_ci"], engines=["ndb"]))
    assert "collation utf8mb4_0900_ai_ci (in main) is not on the target" in found
    assert "storage engine ndb (in main) is not on the target" in found
    newer = {**dump.facts["server"], "version": "11.4.2"}  # type: ignore[dict-item]
    found = obstacles(mariadb, replace(dump, facts={**dump.facts, "server": newer}))
    assert "the backup is of MariaDB 11.4, the target is 10.11" in found
    assert "foreign keys to away" in obstacles(mariadb, changed(dump, references=["away"]))
    assert "no room for a second copy" in obstacles(mariadb, changed(dump, size=1 << 60))
    modest = with_rights(mariadb, "SELECT")
    assert "lacks privileges on *.*: INSERT, CREATE" in obstacles(mariadb, dump, modest)


def test_a_target_that_only_reads_is_found_first(mariadb: MySQLServer) -> None:
    dump = take(mariadb.engine, mariadb.address).dump
    mariadb.execute("SET GLOBAL read_only = ON")
    try:
        assert "the target is read-only" in obstacles(mariadb, dump)
    finally:
        mariadb.execute("SET GLOBAL read_only = OFF")


def test_names_that_would_become_others_are_found_first(mariadb: MySQLServer) -> None:
    """Only where there are such names: a server that folds them takes all others as they are."""
    mariadb.execute("CREATE TABLE main.Mixed (a int)")
    dump = take(mariadb.engine, mariadb.address).dump
    folding = {**dump.facts["server"], "lowerCase": 1}  # type: ignore[dict-item]
    dump = replace(dump, facts={**dump.facts, "server": folding})
    found = obstacles(mariadb, dump)
    assert "lower_case_table_names is 0 on the target and was 1: names in main would" in found
    mariadb.engine.preflight(mariadb.address, changed(dump, mixedCase=False))


def test_whoever_may_not_name_another_definer_is_found_first(mariadb: MySQLServer) -> None:
    """Only where there is something with one."""
    plain = take(mariadb.engine, mariadb.address).dump
    mariadb.execute("CREATE TABLE main.t (a int)", "CREATE VIEW main.v AS SELECT a FROM main.t")
    dump = take(mariadb.engine, mariadb.address).dump
    modest = with_rights(mariadb, ", ".join(preflight.WRITING))
    found = obstacles(mariadb, dump, modest)
    assert found.endswith("for other definers: it needs SUPER or SET USER or SET_USER_ID")
    mariadb.engine.preflight(modest, plain)
    mariadb.execute("GRANT SET USER ON *.* TO modest")
    mariadb.engine.preflight(modest, dump)


def test_a_cut_off_script_never_gets_to_a_swap(mariadb: MySQLServer) -> None:
    fill(mariadb)
    taken = take(mariadb.engine, mariadb.address)
    body = taken.plain["databases.sql"]
    taken.plain["databases.sql"] = body[: len(body) // 2]
    attempt = Log().attempt("cut")
    with pytest.raises(Failure):
        mariadb.engine.stage(mariadb.address, taken.dump, taken.fetch, attempt, a_guard())
    assert "as it was" in mariadb.engine.discard(mariadb.address, attempt)
