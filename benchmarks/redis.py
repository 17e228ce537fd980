"""Redis' part of `make bench-engines`: against redis-cli --rdb and a server that loads the file."""

import json
import shutil
import subprocess
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.contest import STOCK, Work, attempt, guard, shell, started
from holdfast.contracts.local_servers import LocalServer
from holdfast.engines.redis import create
from holdfast.engines.redis.client.address import client
from holdfast.engines.redis.driver import Redis
from holdfast.engines.redis.hosting import server
from holdfast.pipeline.compress import Zstd
from holdfast.pipeline.decompress import decompress


@contextmanager
def redis(home: Path, rows: int) -> Generator[Work]:
    """As many small keys as rows, which is what is hardest to look through."""
    home.chmod(0o711)
    engine = create(home / "no-tools")
    chosen = engine.tools()[0]
    places = [started(engine, home / name, chosen.version) for name in ("full", "empty")]
    contest = _Contest(engine, home, places[0], places[1])
    try:
        contest.fill(rows)
        yield {
            "backup: stock": contest.stock_backup,
            "backup: ours": contest.our_backup,
            "restore: stock": contest.stock_restore,
            "restore: ours": contest.our_restore,
        }
    finally:
        for place in places:
            engine.stop(place)


class _Contest:
    def __init__(self, engine: Redis, home: Path, full: LocalServer, empty: LocalServer) -> None:
        self._engine = engine
        self._home = home
        self._full, self._empty = full, empty
        self._facts: Any = {}

    def fill(self, rows: int) -> None:
        script = (
            "for i = tonumber(ARGV[1]), tonumber(ARGV[2]) do"
            " redis.call('SET', 'user:' .. i, 'value ' .. i) end"
        )
        with client(server.address(self._full)) as session:
            for begin in range(1, rows + 1, 10_000):
                end = min(begin + 9_999, rows)
                session.ask("EVAL", script, "0", str(begin), str(end))

    def stock_backup(self) -> None:
        place = self._full
        shell(
            self._home,
            "export REDISCLI_AUTH=bench; rm -f stock.rdb;"
            f" redis-cli -p {place.port} --user {place.user} --rdb stock.rdb >/dev/null 2>&1;"
            f" {STOCK} < stock.rdb",
        )

    def our_backup(self) -> None:
        address = server.address(self._full)
        with self._engine.snapshot(address, attempt("backup"), guard(), None) as session:
            for piece in session.pieces():
                if piece.directory:
                    continue
                zstd = Zstd()
                with (self._home / Path(piece.path).name).open("wb") as file:
                    for chunk in piece.chunks:
                        file.write(zstd.feed(chunk))
                    file.write(zstd.finish())
        self._facts = json.loads(json.dumps(session.facts))

    def stock_restore(self) -> None:
        """A server that starts with the file."""
        data = self._home / "stock"
        shutil.rmtree(data, ignore_errors=True)
        data.mkdir()
        shell(self._home, "zstd -q -dc stock.zst > stock/dump.rdb")
        socket = data / "s"
        argv = ["redis-server", "--port", "0", "--unixsocket", str(socket), "--dir", str(data)]
        child = subprocess.Popen([*argv, "--save", ""], stdout=subprocess.DEVNULL)
        ask = ["redis-cli", "-s", str(socket), "ping"]
        while subprocess.run(ask, capture_output=True, check=False).stdout != b"PONG\n":
            time.sleep(0.02)
        child.kill()
        child.wait()

    def our_restore(self) -> None:
        """Arranged, booted privately and counted, exchanged and opened."""
        tree, place = self._home / "tree", self._empty
        shutil.rmtree(tree, ignore_errors=True)
        (tree / "data").mkdir(parents=True)
        (tree / "holdfast").mkdir()
        (tree / "holdfast" / "manifest.json").write_text(json.dumps({"facts": self._facts}))
        for name in ("dump.rdb", "users.acl"):
            with (self._home / name).open("rb") as packed, (tree / "data" / name).open("wb") as to:
                for chunk in decompress(iter(lambda: packed.read(1 << 18), b""), "zstd"):
                    to.write(chunk)
        self._engine.arrange(tree, place)
        self._engine.rehearse(tree, place, self._facts, guard())
        self._engine.stop(place)
        shutil.rmtree(place.directory)
        (tree / "data").rename(place.directory)
        self._engine.admit(place)
        if self._engine.running(place) is None or not self._engine.ready(place):
            raise RuntimeError("the restored server does not serve")
