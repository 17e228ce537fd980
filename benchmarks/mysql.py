"""MariaDB's part of `make bench-engines`: against mariadb-dump and mariadb."""

import shlex
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.contest import STOCK, Ours, Work, shell, started
from holdfast.contracts.engine import Address
from holdfast.engines.mysql import create
from holdfast.engines.mysql.client.address import connect, nearest
from holdfast.engines.mysql.hosting import server

ROW = "concat(md5(seq), ' ', repeat(sha2(seq, 256), 6), ' the same words in every row', seq % 97)"


@contextmanager
def mysql(home: Path, rows: int) -> Generator[Work]:
    """A filled server and an empty one; what each side does with them."""
    home.chmod(0o711)  # the servers' own user goes through it
    engine = create(home / "no-tools")
    version = engine.versions()[0]
    places = [started(engine, home / name, version) for name in ("full", "empty")]
    source, target = (server.address(place) for place in places)
    try:
        with connect(source) as session:
            session.execute("CREATE TABLE main.t (id int PRIMARY KEY, v text, n int, KEY (n))")
            session.execute(
                f"INSERT INTO main.t SELECT seq, {ROW}, seq * 7 % 1000 FROM main.seq_1_to_{rows}"
            )
        ours = Ours(engine, home, source, target)
        dump = (
            f"mariadb-dump {_options(home, 'source', source)} --single-transaction --hex-blob"
            f" --routines --triggers --events --databases main | {STOCK}"
        )
        load = f"zstd -q -dc stock.zst | mariadb {_options(home, 'target', target)}"
        yield {
            "backup: stock": lambda: shell(home, dump),
            "backup: ours": ours.backup,
            "restore: stock": lambda: shell(home, load),
            "restore: ours": ours.restore,
        }
    finally:
        for place in places:
            engine.stop(place)


def _options(home: Path, name: str, address: Address) -> str:
    file = home / f"{name}.cnf"
    file.write_text(f"[client]\nuser=admin\npassword=bench\nsocket={nearest(address).host}\n")
    file.chmod(0o600)
    return f"--defaults-file={shlex.quote(str(file))}"
