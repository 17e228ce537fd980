"""SQLite's part of `make bench-engines`: against the shell's .dump and its reading."""

import sqlite3
import time
from collections.abc import Generator
from contextlib import closing, contextmanager
from pathlib import Path

from benchmarks.contest import STOCK, Ours, Work, shell
from holdfast.engines.sqlite import create
from holdfast.engines.sqlite.client import scratch


@contextmanager
def sqlite(home: Path, rows: int, journal: str = "delete") -> Generator[Work]:
    """A filled file and an empty one; what each side does with them."""
    files = home / "files"
    files.mkdir()
    engine = create(home / "state" / "tools")
    engine.allow([files], home / "state")
    (files / "empty.db").touch()
    with closing(sqlite3.connect(files / "full.db", isolation_level=None)) as session:
        session.execute(f"PRAGMA journal_mode={journal}")
        session.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT, n INT)")
        session.execute(
            "INSERT INTO t WITH RECURSIVE c(g) AS (SELECT 1 UNION ALL SELECT g + 1 FROM c"
            f" WHERE g < {rows}) SELECT g, hex(randomblob(16)) || printf('%.400c', 'x') || g, g * 7"
            " % 1000 FROM c"
        )
        session.execute("CREATE INDEX i ON t (n)")
    addresses = (engine.parse(f"sqlite://{files / name}") for name in ("full.db", "empty.db"))
    ours = Ours(engine, home, *addresses)

    def stock_backup() -> float:
        """What our side still removes is not the stock tool's burden."""
        scratch.wait_for_removals()
        began = time.monotonic()
        shell(home, f"sqlite3 files/full.db .dump | {STOCK}")
        return time.monotonic() - began

    load = "rm -f new.db; zstd -q -dc stock.zst | sqlite3 new.db"
    yield {
        "backup: stock": stock_backup,
        "backup: ours": ours.backup,
        "restore: stock": lambda: shell(home, load),
        "restore: ours": ours.restore,
    }
