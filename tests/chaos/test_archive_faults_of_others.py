"""Public faults of other tools that archive PostgreSQL, replayed by name.

wal-g#2555 and wal-g#2035 are about replays of MySQL's binary log that begin before their base ends.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from fixtures.failing_over import FailingOver, failing_over
from fixtures.holdfast import await_restore, await_that
from fixtures.installation import Installation, installation_home
from fixtures.own_server import controls
from holdfast.domain.archive import windows

pytestmark = pytest.mark.slow
_SEGMENT = 1 << 20


@dataclass(kw_only=True)
class Archiving(Installation):
    """One attached server with a standby, archived every second."""

    pair: FailingOver

    def run(self, statement: str) -> list[tuple[Any, ...]]:
        return self.pair.own.database.run(statement)

    def attach(self, name: str) -> str:
        body = {
            "name": name,
            "type": "postgresql",
            "connectionString": self.pair.own.database.url(),
        }
        addon = self.api.post("/projects/faults/addons", body).data["id"]
        path = f"/projects/faults/addons/{addon}"
        assert self.api.post(f"{path}/archive", {"intervalSeconds": 1}).data["enabled"]
        return path

    def shown(self, addon: str = "") -> dict[str, Any]:
        return self.api.get(f"{addon or self.addon}/archive").data

    def instant(self) -> str:
        """The server's now, after which a moment passes."""
        ((text,),) = self.run(
            "SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS')"
        )
        self.run("SELECT pg_sleep(0.05)")
        return f"{text}Z"

    def await_window(self, addon: str = "") -> None:
        """Until a snapshot leads to the end of the log, and that is beyond now."""
        moment = self.instant()

        def is_beyond() -> bool:
            shown = self.shown(addon)
            ends = [window["endTimestamp"] for window in shown["windows"]]
            return "openGap" not in shown and max(ends, default="") > moment

        await_that(is_beyond, 120, self.why)

    def why(self) -> str:
        lines = self.catalogue("SELECT * FROM archive_lines")
        return f"{self.shown()} {lines} {self.server.log.read_text()[-4000:]}"

    def fill_segments(self, count: int) -> None:
        """Writes full segments, and lets the server forget all that no slot keeps."""
        for _ in range(count):
            self.run("SELECT pg_logical_emit_message(false, 'x', repeat('x', 900000))")
            self.run("SELECT pg_switch_wal()")
            self.run("CHECKPOINT")

    def stored_end(self) -> int:
        return int(self.catalogue("SELECT max(end) FROM archive_pieces")[0][0])

    def numbers(self) -> list[tuple[Any, ...]]:
        return self.run("SELECT min(n), max(n), count(*) FROM t")

    def recover(self, moment: str) -> None:
        self.recover_to(targetTimestamp=moment)

    def recover_to(self, **target: str) -> dict[str, Any]:
        ordered = self.api.post(f"{self.addon}/pitr", target)
        assert ordered.status == 200, (ordered.body, self.why())
        backup = f"{self.addon}/backups/{ordered.data['id']}"
        return await_restore(self.api, backup, ordered.data["restoreId"])

    @property
    def archive_home(self) -> Path:
        """Where the objects of the newest root are."""
        ((root,),) = self.catalogue("SELECT root FROM archive_lines ORDER BY pk DESC LIMIT 1")
        (home,) = self.data_dir.glob(f"store/archive/*/*/*/{root}")
        return home


@pytest.fixture(scope="module")
def installation() -> Iterator[Archiving]:
    with failing_over(segment_megabytes=1) as pair, installation_home() as home:
        file = controls(home / "attached.json", a=("faults/first", pair.own))
        environment = {"HOLDFAST_DEAD": "2", "HOLDFAST_ATTACHED_FILE": file}
        archiving = Archiving(home, environment, pair=pair)
        try:
            archiving.start()
            archiving.api.post("/projects", {"name": "Faults"})
            archiving.addon = archiving.attach("First")
            archiving.run("CREATE TABLE t (n int PRIMARY KEY)")
            yield archiving
        finally:
            archiving.end()


@pytest.fixture
def archiving(installation: Archiving) -> Archiving:
    installation.await_window()
    return installation


def test_databasus_680_resumes_where_the_server_still_has_its_log(archiving: Archiving) -> None:
    """databasus#680: an idle server makes the receiver look stuck, so it is restarted again and
    again; after a burst it resumes below the slot's restart_lsn and fails for ever."""
    receivers = "SELECT fence FROM archives"
    before, gaps = archiving.catalogue(receivers), archiving.shown()["gaps"]
    for _ in range(3):
        archiving.await_window()  # the head moves on although nothing is written
    assert archiving.catalogue(receivers) == before
    archiving.fill_segments(70)  # more than wal_keep_size
    archiving.kill()
    archiving.fill_segments(3)
    archiving.start()
    archiving.await_window()
    assert archiving.shown()["gaps"] == gaps


def test_pgbackrest_2629_nothing_passes_a_segment_that_cannot_be_stored(
    archiving: Archiving,
) -> None:
    """pgbackrest#2629: one segment is refused again and again, later ones are stored and never
    acknowledged, and the server's disk fills while the queue looks empty."""
    gaps, line = archiving.shown()["gaps"], archiving.archive_home
    end = archiving.stored_end()
    number = end // _SEGMENT + 1
    ((timeline,),) = archiving.catalogue("SELECT name FROM archive_lines ORDER BY pk DESC LIMIT 1")
    obstacle = line / timeline / f"{timeline}{number >> 12:08X}{number & 0xFFF:08X}.zst.age"
    obstacle.mkdir()
    archiving.fill_segments(4)
    await_that(lambda: archiving.shown()["status"] == "waiting", 60, archiving.why)
    assert archiving.shown()["reason"]
    assert archiving.stored_end() <= (number + 1) * _SEGMENT
    restart = "SELECT restart_lsn - '0/0'::pg_lsn FROM pg_replication_slots"
    assert archiving.run(restart)[0][0] <= (number + 1) * _SEGMENT
    obstacle.rmdir()
    archiving.await_window()
    assert archiving.shown()["gaps"] == gaps


def test_barman_1035_the_old_timeline_is_read_to_its_end(archiving: Archiving) -> None:
    """barman#1035: after a switchover the receiver stays at the old timeline for ever, and its slot
    holds the new primary's log back."""
    pair = archiving.pair
    archiving.kill()
    archiving.run("INSERT INTO t SELECT generate_series(1, 100)")
    ((position,),) = archiving.run("SELECT pg_current_wal_insert_lsn()::text")
    statement = "WITH d AS (DELETE FROM t WHERE n > 50) SELECT pg_current_xact_id()::text"
    ((deletion,),) = archiving.run(statement)
    archiving.run("DELETE FROM t")
    await_that(lambda: pair.lag() == 0, 60)
    pair.fail_over()
    pair.add_standby()
    archiving.start()
    archiving.await_window()
    slots = "SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn) FROM pg_replication_slots"
    await_that(lambda: max(row[0] for row in archiving.run(slots)) < 2 * _SEGMENT, 60)
    ended = archiving.catalogue("SELECT ended FROM archive_lines WHERE until IS NOT NULL")
    assert ended == [("",)]  # the log went on in the new timeline without a gap in its bytes
    # No instant, for nothing proves what the old primary acknowledged besides; but all positions.
    report = archiving.recover_to(beforeTransaction=deletion)["report"]
    assert report["firstLeftOut"]["transaction"] == deletion
    assert archiving.numbers() == [(1, 100, 100)]
    archiving.await_window()
    archiving.recover_to(targetPosition=position)
    assert archiving.numbers() == [(1, 100, 100)]
    archiving.await_window()
    roots = archiving.catalogue("SELECT count(DISTINCT root) FROM archive_lines")
    assert roots == [(1,)]  # what was restored goes on where it was left


def test_plugin_barman_cloud_842_goes_on_after_a_failover(archiving: Archiving) -> None:
    """plugin-barman-cloud#842: the new primary finds the archive of the old one and stores nothing
    until a person helps; base backups fail, too."""
    pair = archiving.pair
    archiving.run("TRUNCATE t")
    archiving.run("INSERT INTO t SELECT generate_series(1, 10)")
    pair.remove_standby()
    pair.add_standby()
    await_that(lambda: pair.lag() == 0, 60)
    before = archiving.instant()
    archiving.run("SELECT pg_switch_wal()")
    archiving.await_window()
    pair.fail_over()
    pair.add_standby()
    archiving.run("INSERT INTO t SELECT generate_series(11, 20)")
    archiving.await_window()
    after = archiving.instant()
    archiving.await_window()
    gap = archiving.shown()["gaps"][-1]
    assert gap["reason"] == windows.REPLACED, archiving.why()
    archiving.recover(after)
    assert archiving.numbers() == [(1, 20, 20)]
    archiving.await_window()
    archiving.recover(before)
    assert archiving.numbers() == [(1, 10, 10)]


def test_cloudnative_pg_11219_a_history_is_stored_before_its_timeline(
    archiving: Archiving,
) -> None:
    """cloudnative-pg#11219: the store fails while the history file is archived, which is never
    tried again, and the new timeline cannot be restored."""
    pair, store = archiving.pair, archiving.data_dir / "store" / "archive"
    archiving.await_window()
    pair.remove_standby()
    pair.add_standby()
    await_that(lambda: pair.lag() == 0, 60)
    away = store.with_name("away")
    store.rename(away)
    store.touch()  # not a directory: everything that is stored or listed fails
    pair.fail_over()
    archiving.run("SELECT pg_sleep(1.1)")  # the birth of a timeline is known by the second
    archiving.run("INSERT INTO t VALUES (1000)")
    moment = archiving.instant()
    await_that(lambda: archiving.shown()["status"] == "waiting", 60, archiving.why)
    store.unlink()
    away.rename(store)
    archiving.await_window()
    ((timeline,),) = archiving.catalogue("SELECT name FROM archive_lines ORDER BY pk DESC LIMIT 1")
    assert (archiving.archive_home / f"{timeline}.history.age").exists()
    archiving.run("TRUNCATE t")
    archiving.await_window()
    archiving.recover(moment)
    assert archiving.numbers()[0][1] == 1000


def test_databasus_643_a_second_timeline_and_a_second_addon_are_recorded(
    archiving: Archiving,
) -> None:
    """databasus#643: the row of the history file names another table's key, so on every source that
    has one no WAL is recorded at all, and only the base backup succeeds."""
    pair = archiving.pair
    if not list((pair.own.data / "pg_wal").glob("*.history")):
        pair.fail_over()
        pair.add_standby()
    second = archiving.attach("Second")
    archiving.await_window(second)
    pieces = (
        "SELECT count(*) FROM archive_pieces p JOIN archive_lines l ON l.pk = p.line_pk"
        " JOIN archives a ON a.pk = l.archive_pk WHERE a.pk > 1"
    )
    archiving.run("SELECT pg_switch_wal()")
    archiving.await_window(second)
    assert archiving.catalogue(pieces)[0][0] > 0
    archiving.api.delete(f"{second}/archive")
    slots = "SELECT count(*) FROM pg_replication_slots"
    await_that(lambda: archiving.run(slots) == [(1,)])
