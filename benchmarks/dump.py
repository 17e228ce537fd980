"""`make bench-dump`: dumps through the whole job path against stock tools, interleaved.

What counts for Holdfast is the time of the whole operation, from its start to `completed`, as its
own record has it: dumping databases and roles, counting every table, storing durably (fsync),
reading everything back, and the checks. The baselines only dump the databases into files.
"""

import argparse
import os
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import cast

from rich import box
from rich.table import Table

from benchmarks import memory
from benchmarks.baselines import Stock
from demo import lab, schema
from demo.fill import Address, fill
from demo.lab import Place
from demo.place import place
from demo.screen import Screen
from demo.server import Server
from demo.sizes import mb, parse_size, rate
from holdfast.client import Client
from holdfast.kit.clock import parse_rfc3339

_DATABASES = ["defaultdb", schema.SECOND]
_MEMORY_TARGET = 256 << 20


@dataclass
class Series:
    """Seconds of the same thing, measured again and again."""

    seconds: list[float] = field(default_factory=list[float])

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)

    def __str__(self) -> str:
        return f"{self.median:.2f} s ({min(self.seconds):.2f} .. {max(self.seconds):.2f})"


@dataclass
class Duel:
    """Holdfast against a baseline: at most `target` times its median."""

    name: str
    target: float
    ours: Series = field(default_factory=Series)
    theirs: Series = field(default_factory=Series)

    @property
    def ratio(self) -> float:
        return self.ours.median / self.theirs.median


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench-dump", description=__doc__)
    parser.add_argument("--size", type=parse_size, default="1.2GB", help="bytes of dump, in about")
    parser.add_argument("--rounds", type=int, default=3)
    return parser.parse_args()


def main() -> None:
    screen, chosen = Screen(), _arguments()
    with place(None, 2 * chosen.size, keep=False) as home:
        server = Server(home)
        try:
            server.start()
            with server.client() as client:
                _measure(screen, server, client, chosen)
        finally:
            server.stop()


def _measure(screen: Screen, server: Server, client: Client, chosen: argparse.Namespace) -> None:
    shop = lab.create_addon(client, lab.create_project(client, "Benchmark"), "Shop")
    address = lab.address(client, shop)
    with screen.step("Filling a managed PostgreSQL") as step:
        fill(address, chosen.size, step.moved)
        _settle(address)
    stock = Stock(address, _DATABASES, server.data_dir)
    stock.warm_up()
    zstd = Duel("zstd: pg_dump -Fc -Z0 | zstd -3 -T2 > file", 1.10)
    gzip = Duel("gz: pg_dump -Fc > file", 0.60)
    idle = memory.resident(server.pid)
    memory.forget_peak(server.pid)
    for number in range(1, chosen.rounds + 1):
        with screen.step(f"Round {number} of {chosen.rounds}") as step:
            zstd.theirs.seconds.append(stock.zstd())
            zstd.ours.seconds.append(_holdfast(client, shop, "zstd"))
            gzip.theirs.seconds.append(stock.gzip())
            gzip.ours.seconds.append(_holdfast(client, shop, "gz"))
            step.result = ", ".join(
                f"{mine.seconds[-1]:.2f}"
                for duel in (zstd, gzip)
                for mine in (duel.theirs, duel.ours)
            )
    above = memory.peak(server.pid) - idle
    _report(screen, (zstd, gzip), _plain_bytes(client, shop), (idle, above))


def _settle(address: Address) -> None:
    """What the server would do in the background during the first measurement is done now."""
    for database in _DATABASES:
        with address.connect(database) as session:
            session.execute("VACUUM (FREEZE, ANALYZE)")
    with address.connect() as session:
        session.execute("CHECKPOINT")


def _holdfast(client: Client, shop: Place, compression: str) -> float:
    """From the first line of the operation's log to its end."""
    os.sync()
    backup = lab.back_up(client, shop, compression, lambda _done, _expected: None)
    lines = client.backups.logs(shop.project, shop.addon, backup.id)
    began = min(parse_rfc3339(line.ts) for line in lines)
    return (parse_rfc3339(backup.completed_at or "") - began) / 1000


def _plain_bytes(client: Client, shop: Place) -> int:
    newest = next(client.backups.list(shop.project, shop.addon))
    evidence = client.backups.evidence(shop.project, shop.addon, newest.id).document()
    members = cast("list[dict[str, int]]", evidence["members"])
    return sum(member["plainBytes"] for member in members)


def _report(screen: Screen, duels: Sequence[Duel], plain: int, used: tuple[int, int]) -> None:
    table = Table(title=f"{mb(plain)} of dump, medians (min .. max)", box=box.SIMPLE_HEAD)
    for column in ("baseline", "its time", "Holdfast", "rate", "ratio", "target", ""):
        table.add_column(column)
    for duel in duels:
        met = "met" if duel.ratio <= duel.target else "MISSED"
        ours = rate(plain, duel.ours.median)
        row = (duel.name, str(duel.theirs), str(duel.ours), ours, f"{duel.ratio:.2f}")
        table.add_row(*row, f"<= {duel.target:.2f}", met)
    screen.console.print(table, highlight=False)
    idle, above = used
    met = "met" if above <= _MEMORY_TARGET else "MISSED"
    screen.console.print(
        f"memory of the server process: {above / 2**20:.0f} MiB at most above the "
        f"{idle / 2**20:.0f} MiB of idling; target <= {_MEMORY_TARGET / 2**20:.0f} MiB: {met}",
        highlight=False,
    )


if __name__ == "__main__":
    main()
