"""A table larger than one of the server's files, which hold a gigabyte each."""

from pathlib import Path

import pytest

from fixtures.postgres import Log, ServerFactory, a_guard
from holdfast.contracts.engine import EVERYTHING, Dump
from holdfast.pipeline.compress import Zstd
from holdfast.pipeline.decompress import decompress

pytestmark = pytest.mark.slow

ROWS = 1_300_000
SUM = "SELECT count(*), sum(hashtextextended(v, 0)::numeric), sum(id) FROM big"


def test_more_than_a_gigabyte_comes_back(
    postgres_server: ServerFactory, blank_server: ServerFactory, tmp_path: Path
) -> None:
    source, target = postgres_server(15), blank_server(15)
    source.wipe()
    source.execute("CREATE TABLE big (id int PRIMARY KEY, v text)")
    row = "g, repeat(md5(g::text), 28)"
    source.execute(f"INSERT INTO big SELECT {row} FROM generate_series(1, {ROWS}) g")
    assert int(str(source.execute("SELECT pg_table_size('big')")[0][0])) > 1 << 30
    expected, total = source.execute(SUM), 0
    attempt = Log().attempt("b1")
    with source.engine.dump(source.address, EVERYTHING, attempt, a_guard()) as session:
        for member in session.members:
            made, zstd = session.open(member), Zstd()
            with (tmp_path / member.name).open("wb") as file:
                while data := made.read(1 << 20):
                    total += len(data)
                    file.write(zstd.feed(data))
                file.write(zstd.finish())
            made.finish()
            made.close()
        inventory, facts = session.inventory(), dict(session.facts)
    assert total > 1 << 30
    dump = Dump("15", list(session.members), facts, inventory)

    def fetch(name: str):
        with (tmp_path / name).open("rb") as file:
            yield from decompress(iter(lambda: file.read(1 << 18), b""), "zstd")

    engine, later = target.engine, Log().attempt("large")
    assert engine.stage(target.address, dump, fetch, later, a_guard()) == inventory
    engine.swap(target.address, dump, later, a_guard())
    assert target.execute(SUM) == expected
    for each in (source, target):
        each.wipe()
