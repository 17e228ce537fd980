"""What will not restore elsewhere is in the evidence of the backup, before anybody needs it."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest

from fixtures.mysql import MySQLServer, Taken, restore, take
from fixtures.postgres import Log, a_guard
from holdfast.contracts.engine import EVERYTHING, WARNINGS, Scope
from holdfast.domain.errors import AddonRefused, Failure
from holdfast.kit.seal import Secret


def warned(taken: Taken) -> Mapping[str, str]:
    """Texts by object."""
    found: Any = taken.dump.facts[WARNINGS]
    return {each["object"]: f"{each['database']}: {each['text']}" for each in found}


def test_a_backup_warns_of_what_will_not_restore(mariadb: MySQLServer) -> None:
    mariadb.execute(
        "CREATE DATABASE shop",
        "CREATE TABLE main.parent (id int PRIMARY KEY)",
        "CREATE TABLE shop.t (id int PRIMARY KEY, p int REFERENCES main.parent (id))",
        "CREATE TABLE shop.base (id int)",
        "CREATE DEFINER=gone@'10.%' VIEW shop.v AS SELECT id FROM shop.t",
        "CREATE VIEW shop.broken AS SELECT id FROM shop.base",
        "DROP TABLE shop.base",
        "CREATE EVENT shop.over ON SCHEDULE EVERY 1 DAY ENDS now() + INTERVAL 1 SECOND DO DO 1",
        "CREATE EVENT shop.goes_on ON SCHEDULE EVERY 1 DAY DO DO 1",
        "CREATE SERVER remote FOREIGN DATA WRAPPER mysql OPTIONS (HOST '10.0.0.1')",
        "DO sleep(2.1)",
    )
    try:
        found = warned(take(mariadb.engine, mariadb.address))
        assert set(found) == {"gone@10.%", "broken", "over", "remote"}
        assert "shop: this account is gone, and shop.v belong to it" in found["gone@10.%"]
        assert "shop: view shop.broken is broken and left out" in found["broken"]
        assert "shop: the time of this event is over" in found["over"]
        assert "run CREATE SERVER on the target" in found["remote"]
        alone = warned(take(mariadb.engine, mariadb.address, scope=Scope("shop")))
        assert "foreign keys refer to database main, which is not in this backup" in alone["main"]
    finally:
        mariadb.execute("DROP SERVER remote")
    mariadb.wipe()
    assert warned(take(mariadb.engine, mariadb.address)) == {}


def test_directories_that_are_no_databases_are_left_out_and_old_names_restore(
    mariadb: MySQLServer, other_mariadb: MySQLServer
) -> None:
    mariadb.execute("CREATE DATABASE `to-move`", "CREATE TABLE `to-move`.t (id int PRIMARY KEY)")
    mariadb.execute("INSERT INTO `to-move`.t VALUES (1)")
    data = mariadb.place.directory
    lost, old = data / "lost+found", data / "old-name"
    try:
        for made in (lost, old):
            made.mkdir(mode=0o777)
            made.chmod(0o777)
        mariadb.execute("RENAME TABLE `to-move`.t TO `#mysql50#old-name`.t")
        taken = take(mariadb.engine, mariadb.address)
        found = warned(taken)
        assert "holds no tables: it is no database and left out" in found["lost+found"]
        assert "it restores as old-name" in found["old-name"]
        restore(other_mariadb.engine, other_mariadb.address, taken, Log())
        assert other_mariadb.execute("SELECT id FROM `old-name`.t") == [(1,)]
        mariadb.engine.stage(mariadb.address, taken.dump, taken.fetch, Log().attempt(), a_guard())
        assert "as it was" in mariadb.engine.discard(mariadb.address, Log().attempt())
    finally:
        with suppress(Failure):
            mariadb.execute("DROP TABLE `#mysql50#old-name`.t")
        for made in (lost, old):
            for file in made.iterdir():
                file.unlink()
            made.rmdir()


def test_every_right_that_a_dump_needs_is_in_the_probe(mariadb: MySQLServer) -> None:
    mariadb.execute(
        "CREATE USER modest IDENTIFIED BY 'm'",
        "GRANT SELECT, SHOW VIEW, TRIGGER, EVENT, LOCK TABLES ON *.* TO modest",
        "CREATE TABLE main.t (a int)",
        "CREATE FUNCTION main.f() RETURNS int DETERMINISTIC RETURN 1",
    )
    modest = replace(mariadb.address, user="modest", password=Secret("m"))
    mariadb.engine.probe(modest)
    mariadb.execute("CREATE SQL SECURITY INVOKER VIEW main.v AS SELECT main.f() AS f FROM main.t")
    with pytest.raises(AddonRefused) as caught:
        mariadb.engine.probe(modest)
    assert "Missing: EXECUTE." in caught.value.message
    assert "main.v: execute command denied" in caught.value.message
    assert "Run: GRANT EXECUTE ON *.* TO modest@%" in caught.value.message
    mariadb.execute("GRANT EXECUTE ON *.* TO modest")
    mariadb.engine.probe(modest)
    take(mariadb.engine, modest)


@pytest.mark.parametrize("setting", ["sql_select_limit", "max_join_size"])
def test_a_limit_that_would_shorten_a_dump_is_refused(mariadb: MySQLServer, setting: str) -> None:
    mariadb.execute("CREATE TABLE main.t (a int)", "INSERT INTO main.t VALUES (1), (2), (3)")
    try:
        mariadb.execute(f"SET GLOBAL {setting} = 2")
        with pytest.raises(AddonRefused, match=f"{setting} is 2.*SET GLOBAL {setting} = DEFAULT"):
            mariadb.engine.probe(mariadb.address)
        with pytest.raises(AddonRefused, match=setting):
            take(mariadb.engine, mariadb.address)
        assert [t.rows for t in mariadb.engine.inventory(mariadb.address).tables] == [3]
    finally:
        mariadb.execute(f"SET GLOBAL {setting} = DEFAULT")


@pytest.mark.parametrize(
    "change",
    [
        "TRUNCATE TABLE main.z_last",
        "ALTER TABLE main.z_last ADD COLUMN more int, ALGORITHM=COPY",
        "ALTER TABLE main.z_last ADD COLUMN more int FIRST, ALGORITHM=INSTANT",
        "DROP TABLE main.z_last",
    ],
)
def test_a_table_that_changes_during_a_dump_is_whole_or_none(
    mariadb: MySQLServer, change: str
) -> None:
    """The stock tool has no lock on a table before it comes to it."""
    mariadb.execute(
        "CREATE TABLE main.a_first (id int PRIMARY KEY, v varchar(400))",
        "INSERT INTO main.a_first SELECT seq, repeat(md5(seq), 10) FROM main.seq_1_to_200000",
        "CREATE TABLE main.z_last (id int PRIMARY KEY)",
        "INSERT INTO main.z_last SELECT seq FROM main.seq_1_to_1000",
    )
    plain = bytearray()
    with mariadb.engine.dump(mariadb.address, EVERYTHING, Log().attempt(), a_guard()) as session:
        source = session.open(session.members[-1])
        plain += source.read(1 << 16)
        mariadb.execute(change)
        while piece := source.read(1 << 20):
            plain += piece
        failure: Failure | None = None
        try:
            source.finish()
        except Failure as error:
            failure = error
        if failure is None:
            counted = {t.name: t.rows for t in session.inventory().tables}
            assert counted["z_last"] == 1000
            rows = bytes(plain).rpartition(b"INSERT INTO `z_last`")[2]
            assert rows.count(b"),") == 999
    assert failure is None or any(words in failure.message for words in ("1412", "1146"))
