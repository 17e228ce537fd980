"""`make bench-snapshots`: base backups into our repository against stock tools, interleaved.

A PostgreSQL with text and jsonb is captured three times, with 0.2 % of its rows updated at random
in between, by `pg_basebackup -Ft | zstd`, by the stock `restic backup` of its data directory
without WAL (at rest meanwhile), and by Holdfast: the replication protocol, the repository and the
local store with fsync, in this process. Reading back and checks of the job around it are not in
it. The last one is written to disk again by each.
"""

import argparse
import os
import secrets
import shutil
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psycopg
from rich import box
from rich.table import Table

from benchmarks import memory
from benchmarks.server import catalogue_server
from demo.place import place
from demo.screen import Screen
from demo.sizes import mb, parse_size
from holdfast.contracts.engine import Address, Attempt, Snapshottable
from holdfast.domain.snapshot import WHOLE_BLOCK, page_block
from holdfast.engines.registry import load_engine
from holdfast.kit.clock import SystemClock
from holdfast.kit.guard import Guard
from holdfast.kit.seal import Secret
from holdfast.repositories.restic.reading import materialise
from holdfast.repositories.restic.repository import Repository, Snapshot, ensure_repository
from holdfast.repositories.restic.writing import SnapshotWriter
from holdfast.stores.local.driver import LocalStore
from holdfast.stores.local.options import Options

_ROW_BYTES = 600
_STEPS = ("first", "0.2 % updated", "0.2 % updated again", "restore")
Cells = dict[tuple[str, str], tuple[float, int]]
"""(tool, step): seconds, and bytes that were added to what is stored."""


@dataclass(frozen=True)
class Bench:
    """Where things are, and how the server is reached."""

    home: Path
    url: str
    repository: Repository

    def under(self, name: str) -> Path:
        return self.home / name


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench-snapshots", description=__doc__)
    parser.add_argument("--size", type=parse_size, default="600MB", help="bytes of table, about")
    size = parser.parse_args().size
    with place(None, 6 * size, keep=False) as home, catalogue_server(home) as url:
        store = LocalStore(Options(directory=home / "ours"))
        made = ensure_repository(store, "r/", Secret("benchmark"), time.time_ns())
        _measure(Screen(), Bench(home, url, made), size)


def _measure(screen: Screen, bench: Bench, size: int) -> None:
    with screen.step("Filling a PostgreSQL"):
        _run(bench, _FILL.format(rows=size // _ROW_BYTES), "VACUUM (FREEZE, ANALYZE)")
    tools: dict[str, tuple[Callable[[Bench], None], Callable[[Bench, Path], None], str]] = {
        "tar + zstd": (_tar, _untar, "tar"),
        "stock restic": (_restic, _unrestic, "restic"),
        "Holdfast": (_ours, _restored, "ours"),
    }
    _restic_says(bench, "init", "--repository-version", "2")
    cells: Cells = {}
    for step in _STEPS[:-1]:
        if step != _STEPS[0]:
            _run(bench, _UPDATE)
        _run(bench, "CHECKPOINT")
        with screen.step(step.capitalize()):
            for name, (capture, _, where) in tools.items():
                before = _size(bench.under(where))
                seconds = _timed(lambda capture=capture: capture(bench))
                cells[name, step] = seconds, _size(bench.under(where)) - before
    with screen.step("Restoring"):
        for name, (_, restore, _) in tools.items():
            target = bench.under("target")
            target.mkdir()
            seconds = _timed(lambda to=target, restore=restore: restore(bench, to))
            cells[name, _STEPS[-1]] = seconds, 0
            shutil.rmtree(target)
    _report(screen, list(tools), cells)


_FILL = """
CREATE TABLE events AS SELECT g AS id, now() - g * interval '1 second' AS at,
  (SELECT string_agg(md5((g * 7 + w % 5)::text) || ' order paid ', '') FROM generate_series(1, 8) w)
    AS note,
  jsonb_build_object('user', g % 9973, 'item', md5(g::text), 'state', 'shipped') AS what
FROM generate_series(1, {rows}) g;
ALTER TABLE events ADD PRIMARY KEY (id);
"""
_UPDATE = "UPDATE events SET note = md5(random()::text) || note WHERE random() < 0.002"


def _run(bench: Bench, *statements: str) -> None:
    with psycopg.connect(bench.url, autocommit=True) as session:
        for statement in statements:
            session.execute(statement.encode())


def _timed(act: Callable[[], None]) -> float:
    os.sync()
    began = time.monotonic()
    act()
    return time.monotonic() - began


def _size(directory: Path) -> int:
    return sum(each.stat().st_size for each in directory.rglob("*") if each.is_file())


def _tar(bench: Bench) -> None:
    bench.under("tar").mkdir(exist_ok=True)
    program = max(Path("/usr/lib/postgresql").glob("*/bin/pg_basebackup"))
    file = bench.under("tar") / f"{secrets.token_hex(4)}.tar.zst"
    line = f"{program} -d '{bench.url}' -c fast -X fetch -Ft -D - | zstd -q -3 -T2 > {file}"
    subprocess.run(["bash", "-o", "pipefail", "-c", f"{line} && sync {file}"], check=True)


def _untar(bench: Bench, target: Path) -> None:
    newest = max(bench.under("tar").iterdir(), key=lambda file: file.stat().st_mtime)
    line = f"zstd -q -dc {newest} | tar -x -C {target} && sync -f {target}"
    subprocess.run(["bash", "-o", "pipefail", "-c", line], check=True)


def _restic(bench: Bench) -> None:
    data = bench.under("postgresql")
    _restic_says(bench, "backup", "--exclude", f"{data}/pg_wal/*", str(data))


def _unrestic(bench: Bench, target: Path) -> None:
    _restic_says(bench, "restore", "latest", "--target", str(target))


def _restic_says(bench: Bench, *words: str) -> None:
    environment = {**os.environ, "RESTIC_PASSWORD": "benchmark", "HOME": str(bench.home)}
    where = ["restic", "--no-cache", "-q", "-r", str(bench.under("restic"))]
    subprocess.run([*where, *words], env=environment, check=True)


def _ours(bench: Bench) -> None:
    engine = load_engine("postgresql", bench.home / "tools")
    if not isinstance(engine, Snapshottable):
        raise TypeError("the engine takes no snapshots")
    parts = psycopg.conninfo.conninfo_to_dict(bench.url)
    address = Address(
        str(parts["host"]),
        int(str(parts["port"])),
        str(parts["user"]),
        Secret(str(parts["password"])),
        str(parts["dbname"]),
    )
    attempt = Attempt("bench", secrets.token_hex(4), lambda _: None)
    writer, block = SnapshotWriter(bench.repository), page_block(0)
    with engine.snapshot(address, attempt, Guard(SystemClock()), None) as session:
        for piece in session.pieces():
            path = os.fsencode(piece.path)
            if piece.directory:
                writer.directory(path, piece.mode, piece.mtime)
            elif piece.target:
                writer.link(path, os.fsencode(piece.target), piece.mtime)
            else:
                cut = block if piece.pages else WHOLE_BLOCK
                file = writer.file(path, piece.mode, piece.mtime, cut)
                for chunk in piece.chunks:
                    file.write(chunk)
                file.close()
    bench.repository.keep(Snapshot(time.time_ns(), writer.flush(), "bench", ["/postgresql"], []))


def _restored(bench: Bench, target: Path) -> None:
    newest = bench.repository.snapshots()[-1]
    materialise(bench.repository, newest.tree, target, lambda _: None)


def _report(screen: Screen, tools: list[str], cells: Cells) -> None:
    table = Table(title="seconds, bytes stored", box=box.SIMPLE_HEAD)
    for column in ("", *tools, "time / tar", "stored / restic"):
        table.add_column(column)
    for step in _STEPS:
        ours, tar, restic = (
            cells[name, step] for name in ("Holdfast", "tar + zstd", "stock restic")
        )
        shown = [f"{cells[name, step][0]:.2f} s, {mb(cells[name, step][1])}" for name in tools]
        stored = f"{ours[1] / restic[1]:.2f}" if restic[1] else ""
        table.add_row(step, *shown, f"{ours[0] / tar[0]:.2f}", stored)
    screen.console.print(table, highlight=False)
    peak = memory.peak(os.getpid())
    screen.console.print(f"memory of this process: {mb(peak)} at most", highlight=False)


if __name__ == "__main__":
    main()
