"""What Holdfast's dumps are measured against: stock tools in a shell, to a file."""

import os
import shlex
import subprocess
import time
from pathlib import Path

from demo.fill import Address
from holdfast.engines.postgresql.client import address as postgresql
from holdfast.engines.postgresql.client import commands, tools


class Stock:
    """`pg_dump` of each database through the same socket Holdfast uses, one after the other."""

    def __init__(self, address: Address, databases: list[str], into: Path) -> None:
        self._address = postgresql.through_socket(postgresql.parse(address.uri))
        self._databases = databases
        self._into = into
        with address.connect() as session:
            major = session.info.server_version // 10_000
        self._pg_dump = tools.choose(into / "no-tools", major).program("pg_dump")
        self._environment = {**os.environ, **commands.child_environment(self._address)}

    def zstd(self) -> float:
        """Seconds of `pg_dump -Fc -Z0 | zstd -3 -T2 > file`."""
        return self._timed("{pg_dump} -Fc -Z0 -d {database} | zstd -q -3 -T2 > {file}")

    def gzip(self) -> float:
        """Seconds of `pg_dump -Fc > file`: its default is gzip."""
        return self._timed("{pg_dump} -Fc -d {database} > {file}")

    def warm_up(self) -> float:
        return self._timed("{pg_dump} -Fc -Z0 -d {database} > /dev/null")

    def _timed(self, pattern: str) -> float:
        os.sync()
        began = time.monotonic()
        for number, database in enumerate(self._databases):
            self._run(pattern, database, self._into / f"baseline-{number}")
        seconds = time.monotonic() - began
        for leftover in self._into.glob("baseline-*"):
            leftover.unlink()
        return seconds

    def _run(self, pattern: str, database: str, file: Path) -> None:
        command = pattern.format(
            pg_dump=shlex.quote(self._pg_dump),
            database=shlex.quote(postgresql.conninfo(self._address, database, "baseline")),
            file=shlex.quote(str(file)),
        )
        subprocess.run(["bash", "-o", "pipefail", "-c", command], env=self._environment, check=True)
