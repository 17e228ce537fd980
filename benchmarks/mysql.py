"""MariaDB's part of `make bench-engines`: against mariadb-dump and mariadb."""

import shlex
import socket
import subprocess
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

from holdfast.contracts.engine import EVERYTHING, Attempt, Dump, Place
from holdfast.engines.mysql import create, server
from holdfast.engines.mysql.address import connect, nearest
from holdfast.engines.mysql.driver import MySQL
from holdfast.kit.clock import SystemClock
from holdfast.kit.guard import Guard
from holdfast.kit.process import start_detached
from holdfast.kit.seal import Secret
from holdfast.pipeline.compress import Zstd
from holdfast.pipeline.decompress import decompress

ROW = "concat(md5(seq), ' ', repeat(sha2(seq, 256), 6), ' the same words in every row', seq % 97)"


@contextmanager
def mysql(home: Path, rows: int) -> Generator[dict[str, Callable[[], None]]]:
    """A filled server and an empty one; what each side does with them."""
    home.chmod(0o711)  # the servers' own user goes through it
    engine = create(home / "no-tools")
    places = [_started(engine, home / name) for name in ("full", "empty")]
    try:
        with connect(server.address(places[0])) as session:
            session.execute("CREATE TABLE main.t (id int PRIMARY KEY, v text, n int, KEY (n))")
            session.execute(
                f"INSERT INTO main.t SELECT seq, {ROW}, seq * 7 % 1000 FROM main.seq_1_to_{rows}"
            )
        yield _Contest(engine, home, places[0], places[1]).parts()
    finally:
        for place in places:
            engine.stop(place)


def _started(engine: MySQL, directory: Path) -> Place:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = int(sock.getsockname()[1])
    place = Place(directory, port, engine.versions()[0], "admin", Secret("bench"), "main")
    engine.initialise(place)
    with directory.with_suffix(".log").open("ab") as log:
        start_detached(engine.command(place), log)
    while not engine.ready(place):
        time.sleep(0.05)
    return place


class _Contest:
    def __init__(self, engine: MySQL, home: Path, full: Place, empty: Place) -> None:
        self._engine = engine
        self._home = home
        self._source, self._target = server.address(full), server.address(empty)
        self._dump: Dump | None = None
        self._tries = 0

    def parts(self) -> dict[str, Callable[[], None]]:
        return {
            "backup: stock": self._stock_backup,
            "backup: ours": self._our_backup,
            "restore: stock": self._stock_restore,
            "restore: ours": self._our_restore,
        }

    def _options(self, name: str) -> str:
        address = nearest(self._source if name == "source" else self._target)
        file = self._home / f"{name}.cnf"
        file.write_text(f"[client]\nuser=admin\npassword=bench\nsocket={address.host}\n")
        file.chmod(0o600)
        return f"--defaults-file={shlex.quote(str(file))}"

    def _shell(self, command: str) -> None:
        subprocess.run(["bash", "-o", "pipefail", "-c", command], cwd=self._home, check=True)

    def _stock_backup(self) -> None:
        self._shell(
            f"mariadb-dump {self._options('source')} --single-transaction --hex-blob --routines"
            " --triggers --events --databases main | zstd -q -f -3 -T2 -o stock.zst"
        )

    def _stock_restore(self) -> None:
        self._shell(f"zstd -q -dc stock.zst | mariadb {self._options('target')}")

    def _our_backup(self) -> None:
        attempt, guard = Attempt("backup", "1", lambda _: None), Guard(SystemClock())
        with self._engine.dump(self._source, EVERYTHING, attempt, guard) as session:
            for member in session.members:
                source, zstd = session.open(member), Zstd()
                with (self._home / member.name).open("wb") as file:
                    while data := source.read(1 << 20):
                        file.write(zstd.feed(data))
                    file.write(zstd.finish())
                source.finish()
            inventory, facts = session.inventory(), dict(session.facts)
            self._dump = Dump("", list(session.members), facts, inventory)

    def _our_restore(self) -> None:
        assert self._dump is not None
        self._tries += 1
        attempt = Attempt(f"restore-{self._tries}", "1", lambda _: None)
        guard = Guard(SystemClock())

        def fetch(name: str):
            with (self._home / name).open("rb") as file:
                yield from decompress(iter(lambda: file.read(1 << 18), b""), "zstd")

        staged = self._engine.stage(self._target, self._dump, fetch, attempt, guard)
        assert staged == self._dump.inventory
        self._engine.swap(self._target, self._dump, attempt, guard)
