"""An archived server, its receiver, store and network fail at random; then any instant is exact.

`HOLDFAST_TORTURE_SEED` repeats a run; the seed is in every failure's words.
"""

import json
import os
import random
import re
import secrets
import signal
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import psycopg
import pytest

from fakes.switched_proxy import Switch, switched
from fixtures.acknowledged import Row, Writer
from fixtures.debian_postgres import Database
from fixtures.failing_over import FailingOver, failing_over
from fixtures.fleet import DEAD_SECONDS, Fleet, Member
from fixtures.holdfast import await_restore, await_that
from fixtures.own_server import controls
from fixtures.s3 import S3Server
from holdfast.kit.clock import parse_rfc3339, rfc3339

ADDON = "/projects/torture/addons/source"
_FORK = re.compile(r"(\d+)\t([0-9A-F]+)/([0-9A-F]+)")
_NETWORK = "127.0.0.2"
_CLOCK_SLACK_MS = 50
"""Times of commits run backwards by some ms, and a restore stops behind the last that is kept."""


@dataclass
class Torture:
    """Two workers archive one server through a network that fails, into a store that fails."""

    fleet: Fleet
    pair: FailingOver
    network: Switch
    shelf: Switch
    writer: Writer
    chance: random.Random
    seed: int
    deeds: list[str] = field(default_factory=list[str])

    def archive(self) -> dict[str, Any]:
        return self.fleet.api().get(f"{ADDON}/archive").data

    def why(self) -> str:
        lines = self.fleet.ask("SELECT * FROM archive_lines ORDER BY pk")
        words = "\n".join([*self.deeds, *map(str, lines), str(self.archive())])
        return f"seed {self.seed}\n{words}\n{self.fleet.logs()[-6000:]}"

    def server_now(self) -> int:
        ((ms,),) = self.pair.own.database.run(
            "SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint"
        )
        return int(ms)

    def await_window_beyond(self, instant: int) -> None:
        """Until a snapshot leads to the end of the log, and that is beyond the instant."""

        def is_beyond() -> bool:
            shown = self.archive()
            ends = [parse_rfc3339(window["endTimestamp"]) for window in shown["windows"]]
            return "openGap" not in shown and max(ends, default=0) > instant

        await_that(is_beyond, 180, self.why)

    def holder(self) -> Member:
        """The worker that receives; any of them while none does."""
        ((name,),) = self.fleet.ask("SELECT holder FROM archives")
        workers = self.fleet.workers
        holding = [w for w in workers if (name or "").startswith(f"{w.node}-{w.pid}-")]
        return holding[0] if holding else self.chance.choice(workers)

    def do(self, deed: Callable[["Torture"], None]) -> None:
        self.deeds.append(f"{rfc3339(round(time.time() * 1000))} {deed.__name__}")
        deed(self)
        self.fleet.revive_workers()


def kill_receiver(torture: Torture) -> None:
    torture.holder().kill()


def freeze_receiver(torture: Torture) -> None:
    """Until the other worker has taken over; then there are two for a moment."""
    holder = torture.holder()
    holder.signal(signal.SIGSTOP)
    try:
        time.sleep(DEAD_SECONDS * torture.chance.choice([0.3, 1.7]))
    finally:
        holder.signal(signal.SIGCONT)


def restart_server(torture: Torture) -> None:
    torture.pair.restart()


def crash_server(torture: Torture) -> None:
    torture.pair.crash()
    torture.pair.start()


def crash_recovery(torture: Torture) -> None:
    """A backend's death makes the server recover without a restart."""
    run = torture.pair.own.database.run
    ((pid,),) = run("SELECT pid FROM pg_stat_activity WHERE backend_type = 'walwriter'")
    os.kill(pid, signal.SIGKILL)


def fail_over(torture: Torture) -> None:
    """Half of the time the standby lacks what was acknowledged last."""
    pair = torture.pair
    if torture.chance.random() < 0.5:
        pair.fail_over()
    else:
        torture.writer.stop()
        await_that(lambda: pair.lag() == 0, 60)
        pair.fail_over()
        torture.writer.start()
    pair.add_standby()


def _disturb(switch: Switch, torture: Torture) -> None:
    switch.turn(torture.chance.choice(["refuse", "hang", "slow"]))
    try:
        time.sleep(torture.chance.choice([0.5, 2.0, 5.0]))
    finally:
        switch.turn("pass")


def cut_network(torture: Torture) -> None:
    _disturb(torture.network, torture)


def cut_store(torture: Torture) -> None:
    _disturb(torture.shelf, torture)


def lose_slot(torture: Torture) -> None:
    """All workers are away for longer than the server keeps its log: that has to be a gap."""
    for worker in torture.fleet.workers:
        worker.kill()
    torture.pair.remove_standby()  # which has no slot, and would be left behind
    run = torture.pair.own.database.run
    run("ALTER SYSTEM SET max_slot_wal_keep_size = '2MB'")
    run("ALTER SYSTEM SET wal_keep_size = 0")
    run("SELECT pg_reload_conf()")
    for _ in range(8):
        run("SELECT pg_logical_emit_message(false, 'x', repeat('x', 2000000))")
        run("SELECT pg_switch_wal()")
        run("CHECKPOINT")
    run("ALTER SYSTEM RESET max_slot_wal_keep_size")
    run("ALTER SYSTEM RESET wal_keep_size")
    run("SELECT pg_reload_conf()")
    torture.pair.add_standby()


def switch_segment(torture: Torture) -> None:
    torture.pair.own.database.run("SELECT pg_switch_wal()")
    torture.pair.own.database.run("CHECKPOINT")


FAULTS = [
    kill_receiver,
    freeze_receiver,
    restart_server,
    crash_server,
    crash_recovery,
    fail_over,
    cut_network,
    cut_store,
    lose_slot,
    switch_segment,
]


@contextmanager
def tortured(catalogue: Database, s3_server: S3Server) -> Generator[Torture]:
    seed = int(os.environ.get("HOLDFAST_TORTURE_SEED", "0")) or secrets.randbits(32)
    chance = random.Random(seed)
    gateway = int(s3_server.endpoint.rpartition(":")[2])
    fleet = Fleet(catalogue, catalogue.create(), "table")
    with (
        failing_over(segment_megabytes=1) as pair,
        # A restore in place wants the addon's port to be the server's.
        switched(pair.own.database.port, (_NETWORK, pair.own.database.port)) as network,
        switched(gateway) as shelf,
    ):
        options = s3_server.options(s3_server.bucket(), endpoint=f"http://127.0.0.1:{shelf.port}")
        (fleet.home / "store.json").write_text(json.dumps({"kind": "s3", **options}))
        file = controls(fleet.home / "attached.json", a=("torture/source", pair.own))
        fleet.environment["HOLDFAST_ATTACHED_FILE"] = file
        writer = Writer(pair.own.database, chance)
        torture = Torture(fleet, pair, network, shelf, writer, chance, seed)
        try:
            fleet.start_all()
            _begin(torture)
            yield torture
        finally:
            writer.stop()
            fleet.stop()


def _begin(torture: Torture) -> None:
    """The server is archived, and a first window is there."""
    api, own = torture.fleet.api(), torture.pair.own
    api.post("/projects", {"name": "Torture"})
    through_network = own.database.url().replace("127.0.0.1", _NETWORK)
    body = {"name": "Source", "type": "postgresql", "connectionString": through_network}
    assert api.post("/projects/torture/addons", body).data["status"] == "running"
    assert api.post(f"{ADDON}/archive", {"intervalSeconds": 1}).data["enabled"]
    torture.writer.start()
    torture.await_window_beyond(torture.server_now())


def inflict(torture: Torture, faults: Sequence[Callable[[Torture], None]]) -> None:
    """One fault after the other, with a window that goes on in between from time to time."""
    for number, fault in enumerate(faults, 1):
        torture.do(fault)
        time.sleep(torture.chance.random() * 2)
        if number % 4 == 0:
            torture.await_window_beyond(torture.server_now())
    torture.writer.stop()
    torture.await_window_beyond(torture.server_now())


def lineage_of(torture: Torture) -> list[tuple[int, float]]:
    """The timelines that the server comes from, and where it left them."""
    data = torture.pair.own.data
    newest = max((data / "pg_wal").glob("*.history"))
    return [
        (int(match[1]), int(match[2], 16) << 32 | int(match[3], 16))
        for match in _FORK.finditer(newest.read_text())
    ]


def recover(torture: Torture, target: dict[str, Any]) -> list[tuple[int, float]]:
    """Restores, requires the exact state, and returns how it was reached."""
    ordered = torture.fleet.api().post(f"{ADDON}/pitr", target)
    assert ordered.status == 200, (ordered.body, torture.why())
    backup = f"{ADDON}/backups/{ordered.data['id']}"
    await_restore(torture.fleet.api(), backup, ordered.data["restoreId"])
    lineage = lineage_of(torture)
    numbers = present(torture)
    torture.writer.require(numbers, lineage, f"{target} {lineage} {torture.why()}")
    return lineage


def present(torture: Torture) -> set[int]:
    return {n for (n,) in torture.pair.own.database.run("SELECT n FROM acknowledged")}


def require_instant(torture: Torture, instant: int) -> bool:
    """False: the archive names the gap, or the edge of its window."""
    shown = torture.archive()
    spans = [
        (parse_rfc3339(span["startTimestamp"]), parse_rfc3339(span["endTimestamp"]))
        for span in shown["windows"]
    ]
    target = {"targetTimestamp": rfc3339(instant)}
    if not any(begin <= instant <= end for begin, end in spans):
        refused = torture.fleet.api().post(f"{ADDON}/pitr", target)
        assert refused.status == 409, torture.why()
        assert re.search("lies in a gap|is before the window", refused.error["message"])
        return False
    lineage = recover(torture, target)
    why = f"{target} {lineage} {torture.why()}"
    assert not (serving := torture.writer.serving(instant)) or lineage[-1][0] in serving, why
    # What the lineage holds of all that was acknowledged before, wherever the replay stopped.
    reached = dict([*lineage[:-1], (lineage[-1][0], float("inf"))])
    numbers = present(torture)
    rows = [row for row in torture.writer.rows if row.high <= reached.get(row.timeline, -1)]
    assert {row.number for row in rows if row.after < instant} <= numbers, why
    late = {row.number for row in torture.writer.rows if row.before > instant + _CLOCK_SLACK_MS}
    assert not late & numbers, why
    return True


def require_position(torture: Torture, row: Row) -> None:
    position = int(row.high)
    shown = f"{position >> 32:X}/{position & 0xFFFFFFFF:X}"
    lineage = recover(torture, {"targetPosition": shown, "inclusive": False})
    torture.writer.require(
        present(torture), [*lineage[:-1], (lineage[-1][0], position)], f"{shown} {torture.why()}"
    )


def require_transaction(torture: Torture, row: Row, *, inclusive: bool) -> None:
    word = "withTransaction" if inclusive else "beforeTransaction"
    recover(torture, {word: str(row.transaction)})
    expected = row.number if inclusive else row.number - 1
    numbers = present(torture)
    assert (row.number in numbers) == inclusive, torture.why()
    assert max(numbers) <= expected, (row, max(numbers), torture.why())


def require_targets(torture: Torture, count: int) -> int:
    """Restores to random instants; returns how many of them the archive had a window for."""
    windows = torture.archive()["windows"]
    begin = parse_rfc3339(windows[0]["startTimestamp"])
    end = parse_rfc3339(windows[-1]["endTimestamp"])
    restored = 0
    for _ in range(count):
        restored += require_instant(torture, torture.chance.randrange(begin, end))
    return restored


def go_on(torture: Torture) -> list[Row]:
    """The restored server is archived from its first second. Returns rows that the newest window
    holds."""
    with psycopg.connect(torture.pair.own.database.url(), autocommit=True) as session:
        torture.writer.write(session)
        torture.await_window_beyond(torture.server_now())
        rows = [torture.writer.write(session) for _ in range(20)]
    time.sleep(0.05)
    torture.await_window_beyond(torture.server_now())
    return rows


@pytest.fixture
def torture(debian_postgres: Database, s3_server: S3Server) -> Iterator[Torture]:
    with tortured(debian_postgres, s3_server) as torture:
        yield torture


@pytest.mark.slow
def test_some_faults_and_any_instant_is_exact(torture: Torture) -> None:
    """A worker that loses its lease, a failover and a store that is away."""
    inflict(torture, [freeze_receiver, fail_over, cut_store])
    require_targets(torture, 1)
    rows = go_on(torture)
    require_transaction(torture, torture.chance.choice(rows), inclusive=False)


@pytest.mark.slow
@pytest.mark.parametrize("part", range(10))
def test_many_faults_and_any_instant_is_exact(torture: Torture, part: int) -> None:
    """200 faults and 60 targets in ten parts, each with servers of its own."""
    inflict(torture, [torture.chance.choice(FAULTS) for _ in range(20)])
    require_targets(torture, 3)
    rows = go_on(torture)
    require_transaction(torture, torture.chance.choice(rows), inclusive=bool(part % 2))
    assert require_instant(torture, round(rows[-1].after) + 1)
    require_position(torture, torture.chance.choice(go_on(torture)))
