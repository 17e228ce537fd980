"""More than a gigabyte, and what only a MySQL server of today shows."""

from dataclasses import replace

import pytest

from fixtures.mysql import MySQLServer, StartMySQL, leftovers, take
from fixtures.postgres import Log, a_guard
from holdfast.contracts.engine import EVERYTHING, Attempt, Dump
from holdfast.domain.errors import AddonRefused, PreflightRefused
from holdfast.engines.mysql.driver import MySQL

pytestmark = pytest.mark.slow

ROWS = 1_200_000


def test_more_than_a_gigabyte_comes_back(mariadb: MySQLServer, other_mariadb: MySQLServer) -> None:
    """Streamed from one server into the other: neither side holds it whole."""
    mariadb.execute(
        "CREATE TABLE main.big (id int PRIMARY KEY, v varchar(900), KEY (v(20)))",
        f"INSERT INTO main.big SELECT seq, repeat(md5(seq), 28) FROM main.seq_1_to_{ROWS}",
    )
    small = take_without_bytes(mariadb)

    def fetch(name: str):
        with mariadb.engine.dump(
            mariadb.address, EVERYTHING, Attempt("b2", "1", print), a_guard()
        ) as again:
            member = next(m for m in again.members if m.name == name)
            source = again.open(member)
            yield from iter(lambda: source.read(1 << 20), b"")
            source.finish()
            source.close()

    attempt = Log().attempt("large")
    engine, address = other_mariadb.engine, other_mariadb.address
    assert engine.stage(address, small, fetch, attempt, a_guard()) == small.inventory
    engine.swap(address, small, attempt, a_guard())
    checksum = "CHECKSUM TABLE main.big"
    assert other_mariadb.execute(checksum) == mariadb.execute(checksum)
    assert not leftovers(other_mariadb)


def take_without_bytes(made: MySQLServer):
    """The dump's description; its bytes are counted and dropped."""
    total = 0
    with made.engine.dump(made.address, EVERYTHING, Log().attempt("b1"), a_guard()) as session:
        for member in session.members:
            source = session.open(member)
            while data := source.read(1 << 20):
                total += len(data)
            source.finish()
        inventory = session.inventory()
        found = Dump("10.11", list(session.members), dict(session.facts), inventory)
    assert total > 1 << 30
    return found


def test_tls_is_what_was_asked_for(start_mysql: StartMySQL, unstable_mysql: MySQL) -> None:
    made = start_mysql("source", unstable_mysql)
    made.wipe()
    ca = str(made.place.directory / "ca.pem")
    for options in ({"ssl-mode": "required"}, {"ssl-mode": "verify_ca", "ssl-ca": ca}):
        take(made.engine, replace(made.address, options=options))
    for options in ({"ssl-mode": "verify_ca"}, {"ssl-mode": "verify_identity", "ssl-ca": ca}):
        with pytest.raises(AddonRefused, match="TLS with"):
            made.engine.probe(replace(made.address, options=options))
    assert made.execute("SHOW STATUS LIKE 'Ssl_cipher'")


def test_a_dump_of_mysql_is_refused_by_mariadb_with_what_it_lacks(
    start_mysql: StartMySQL, unstable_mysql: MySQL, mariadb: MySQLServer
) -> None:
    source = start_mysql("source", unstable_mysql)
    source.wipe()
    source.execute("CREATE TABLE main.t (v varchar(9) COLLATE utf8mb4_0900_bin)")
    taken = take(source.engine, source.address)
    with pytest.raises(PreflightRefused, match="collation utf8mb4_0900_bin"):
        mariadb.engine.preflight(mariadb.address, taken.dump)
