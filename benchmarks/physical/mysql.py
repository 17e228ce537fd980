"""MariaDB: against `mariadb-backup` streamed, and restic of the data directory."""

import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.physical.contest import Contest, Holdfast, restic, stream
from benchmarks.server import hosted
from holdfast.contracts.engine import Address
from holdfast.engines.mysql.client.address import connect, nearest
from holdfast.engines.mysql.hosting import server

_ROW_BYTES = 600
_ROW = (
    "concat(md5(seq * 7), ' order paid ', md5(seq * 7 + 1), ' order paid ', repeat(md5(seq), 9)),"
    " json_object('user', seq % 9973, 'item', md5(seq), 'state', 'shipped')"
)

_LOW, _HIGH = "innodb_max_dirty_pages_pct_lwm", "innodb_max_dirty_pages_pct"
_DIRTY = """
SELECT count(*) FROM information_schema.global_status
WHERE variable_name = 'INNODB_BUFFER_POOL_PAGES_DIRTY' AND variable_value > 0
   OR variable_name = 'INNODB_CHECKPOINT_AGE' AND variable_value > 4096
"""


@contextmanager
def mysql(home: Path, size: int) -> Generator[Contest]:
    """`size` bytes of table, about."""
    with hosted("mysql", home) as (engine, place):
        address = server.address(place)

        def run(*statements: str) -> None:
            with connect(address) as session:
                for statement in statements:
                    session.execute(statement)

        table = f"`{place.database}`.events"
        run(
            f"CREATE TABLE {table} (id int PRIMARY KEY, note text, what json)",
            f"INSERT INTO {table} SELECT seq, {_ROW} FROM"
            f" {place.database}.seq_1_to_{size // _ROW_BYTES}",
        )
        options = home / "stock.cnf"
        options.write_text(
            f"[client]\nuser={place.user}\npassword={address.password.reveal()}\n"
            f"socket={nearest(address).host}\n"
        )
        options.chmod(0o600)
        copy = (
            f"mariadb-backup --defaults-file={options} --backup --stream=mbstream"
            f" --datadir={place.directory}/data --target-dir={home} 2> {home}/mariadb-backup.log"
        )
        yield Contest(
            tools=[
                stream(home, copy, "mbstream -x"),
                restic(home, str(place.directory)),
                Holdfast(home / "ours", engine, address).tool,
            ],
            update=lambda share: run(
                f"UPDATE {table} SET note = concat(md5(rand()), note) WHERE rand() < {share}"
            ),
            settle=lambda: _settled(address),
        )


def _settled(address: Address) -> None:
    """Waits until all pages are in their files and the log begins after them."""
    with connect(address) as session:
        session.execute(f"SET GLOBAL {_LOW} = 0.001")
        session.execute(f"SET GLOBAL {_HIGH} = 0")
        while session.rows(_DIRTY) != [(0,)]:
            time.sleep(0.2)
        session.execute(f"SET GLOBAL {_HIGH} = DEFAULT")
        session.execute(f"SET GLOBAL {_LOW} = DEFAULT")
