"""Tools that archive the same range of a server's log, each with its processor time.

All store in a directory of this machine. pgBackRest and Barman are those of Debian; neither seals.
"""

import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks import pgbackrest
from benchmarks.archiving.receiving import STARTED, Order
from benchmarks.archiving.server import LoggedServer

_PGBACKREST = {"compress-type": "zst", "compress-level": 1}
_BARMAN = """
[barman]
barman_home = {home}
barman_user = {user}
log_file = {home}/barman.log
configuration_files_directory = {home}/conf.d
[bench]
description = bench
conninfo = {conninfo} dbname=postgres
streaming_conninfo = {conninfo}
streaming_archiver = on
slot_name = {slot}
backup_method = postgres
path_prefix = {programs}
compression = custom
custom_compression_filter = "zstd -q -1 -c"
custom_decompression_filter = "zstd -q -dc"
"""


@dataclass(frozen=True)
class Task:
    """Log from `start` to `until` is to be stored in the directory `home`, which is new."""

    server: LoggedServer
    home: Path
    start: int
    until: int

    @property
    def segments(self) -> list[str]:
        """Names of the segments, of timeline 1 and 16 MB each."""
        numbers = range(self.start >> 24, self.until >> 24)
        return [f"00000001{number >> 8:08X}{number & 0xFF:08X}" for number in numbers]


@dataclass(frozen=True)
class Archiver:
    """The server keeps the log of a task under `slot`. `archive` returns processor time that is no
    part of the task."""

    name: str
    slot: str
    archive: Callable[[Task], float]


def measured(archiver: Archiver, task: Task) -> float:
    """Seconds of processor time a GB: the tool's and the server's."""
    before = _children_seconds() + task.server.processor_seconds()
    before += archiver.archive(task)
    seconds = _children_seconds() + task.server.processor_seconds() - before
    task.server.drop(archiver.slot)
    return seconds / (task.until - task.start) * 1e9


def _children_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _holdfast(task: Task) -> float:
    child = receive(task.server, task.home, "holdfast", until=task.until)
    if child.wait():
        raise RuntimeError("the receiver failed")
    return float((task.home / STARTED).read_text())


def receive(
    server: LoggedServer, home: Path, slot: str, *, until: int = 0, interval: int = 10
) -> "subprocess.Popen[bytes]":
    """A receiver that stores in `home` up to a position; 0: until it is ended."""
    place = server.place
    password = place.password.reveal()
    order = Order(place.port, place.user, password, place.database, slot, interval, until)
    order.write(home)
    return subprocess.Popen([sys.executable, "-m", "benchmarks.archiving.receiving", str(home)])


def _stock(task: Task) -> float:
    """Received, packed and copied into the store, as shell scripts do it."""
    server, home, until = task.server, task.home, task.until
    lsn = f"{until >> 32:X}/{until & 0xFFFFFFFF:X}"
    receive_words = f"pg_receivewal -d '{server.url}' -D received -S stock --endpos {lsn} -n"
    store = (
        "for f in received/????????????????????????; do n=$(basename $f); zstd -q -3 $f -o $n.zst;"
        " cp $n.zst store/; sync store/$n.zst; rm $n.zst; done"
    )
    (home / "received").mkdir(parents=True)
    (home / "store").mkdir()
    environment = {**os.environ, "PATH": f"{server.bin_dir}:{os.environ['PATH']}"}
    line = f"{receive_words}; {store}"
    subprocess.run(["sh", "-ec", line], cwd=home, check=True, env=environment)
    return 0.0


def _pgbackrest(task: Task) -> float:
    """As `archive_command` runs it: once a segment."""
    server, data = task.server, task.server.place.directory
    config = _make_repository(server, task.home)
    program = f"pgbackrest --config={config} --stanza={pgbackrest.STANZA}"
    names = " ".join(task.segments)
    line = f"for s in {names}; do {program} archive-push {data}/pg_wal/$s; done"
    environment = {**os.environ, "PGPASSWORD": server.place.password.reveal()}
    subprocess.run(["sh", "-ec", line], check=True, env=environment)
    return 0.0


def _make_repository(server: LoggedServer, home: Path) -> Path:
    home.mkdir(parents=True)
    place, config = server.place, home / "pgbackrest.conf"
    pgbackrest.write_settings(config, place, home / "repository", _PGBACKREST)
    environment = {**os.environ, "PGPASSWORD": place.password.reveal()}
    words = ["pgbackrest", f"--config={config}", f"--stanza={pgbackrest.STANZA}", "stanza-create"]
    subprocess.run(words, check=True, env=environment)
    return config


def _barman(task: Task) -> float:
    """`receive-wal` until all is there, then `archive-wal`, which `barman cron` runs."""
    server, home, place = task.server, task.home, task.server.place
    (home / "conf.d").mkdir(parents=True)
    login = f"user={place.user} password={place.password.reveal()}"
    user = "root" if os.geteuid() == 0 else os.environ["USER"]
    text = _BARMAN.format(
        home=home,
        user=user,
        conninfo=f"host=127.0.0.1 port={place.port} {login}",
        slot="barman",
        programs=server.bin_dir,
    )
    (home / "barman.conf").write_text(text)
    words = ["barman", "-c", str(home / "barman.conf")]
    last = home / "bench/streaming" / task.segments[-1]
    with (home / "output").open("wb") as output:
        receiving = subprocess.Popen([*words, "receive-wal", "bench"], stdout=output, stderr=output)
        try:
            while not last.exists():
                if receiving.poll() is not None:
                    raise RuntimeError((home / "output").read_text()[-2000:])
                time.sleep(0.1)
        finally:
            receiving.send_signal(signal.SIGINT)
            receiving.wait()
        subprocess.run([*words, "archive-wal", "bench"], check=True, stdout=output)
    return 0.0


ARCHIVERS = [
    Archiver("pg_receivewal + zstd -3 + cp", "stock", _stock),
    Archiver("pgBackRest archive-push, zst 1", "pgbackrest", _pgbackrest),
    Archiver("Barman, zstd -1", "barman", _barman),
    Archiver("Holdfast, sealed", "holdfast", _holdfast),
]
