"""PostgreSQL's part of `make bench-engines`: against pg_dump and pg_restore, through one socket."""

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path

from psycopg.sql import SQL, Identifier

from benchmarks.contest import STOCK, Ours, Work, shell, started
from holdfast.contracts.engine import Address
from holdfast.engines.postgresql import create, server
from holdfast.engines.postgresql.address import Session, connect, nearest

ROW = (
    "md5(g::text) || repeat(encode(sha256(g::text::bytea), 'hex'), 6)"
    " || ' the same words ' || g % 97"
)
SEVERAL: Mapping[str, int] = {"large": 4, **{f"middling{n}": 1 for n in range(1, 7)}}
SINGLE: Mapping[str, int] = {"single": 10}


@contextmanager
def postgresql(home: Path, rows: int, tables: Mapping[str, int] = SEVERAL) -> Generator[Work]:
    """A filled server and an empty one; what each side does with them.

    `tables`: tenths of the rows by the name of each.
    """
    home.chmod(0o711)
    engine = create(home / "no-tools")
    tools = engine.tools()[0]
    places = [started(engine, home / name, str(tools.major)) for name in ("full", "empty")]
    source, target = (server.address(place) for place in places)
    try:
        with connect(source) as session:
            for name, tenths in tables.items():
                _fill(session, name, rows * tenths // 10)
        ours = Ours(engine, home, source, target)
        dump = f"{tools.program('pg_dump')} {_words(source)} -Fc -Z0 main | {STOCK}"
        load = (
            f"{tools.program('pg_restore')} {_words(target)}"
            " --clean --if-exists --exit-on-error -d main"
        )
        as_file = f"zstd -q -d -f stock.zst -o stock.dump; {load} -j2 stock.dump; rm stock.dump"
        yield {
            "backup: stock": lambda: shell(home, f"PGPASSWORD=bench {dump}"),
            "backup: ours": ours.backup,
            "restore: stock": lambda: shell(
                home, f"export PGPASSWORD=bench; zstd -q -dc stock.zst | {load}"
            ),
            "restore: ours": ours.restore,
            "restore: ours, of it after the data was in place": ours.afterwards,
            "restore: pg_restore -j2, with writing its file": lambda: shell(
                home, f"export PGPASSWORD=bench; {as_file}"
            ),
        }
    finally:
        for place in places:
            engine.stop(place)


def _words(address: Address) -> str:
    place = nearest(address)
    return f"-h {place.host} -p {place.port} -U {place.user}"


def _fill(session: Session, name: str, rows: int) -> None:
    table = SQL("public.{}").format(Identifier(name))
    session.execute(SQL("CREATE TABLE {} (id int PRIMARY KEY, v text, n int)").format(table))
    session.execute(
        SQL("INSERT INTO {} SELECT g, {}, g * 7 % 1000 FROM generate_series(1, {}) g").format(
            table, SQL(ROW), rows
        )
    )
    session.execute(SQL("CREATE INDEX ON {} (n)").format(table))
    session.execute(SQL("VACUUM ANALYZE {}").format(table))
