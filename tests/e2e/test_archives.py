"""Archives of PostgreSQL's log: what is stored is all of it, and what is missing is named."""

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest
from prometheus_client.parser import text_string_to_metric_families

from fixtures.archived_postgres import INTERVAL, Archiving, archived_postgres
from fixtures.debian_postgres import run_sql, running_postgres
from fixtures.drills import drilled
from fixtures.holdfast import await_that, free_port
from fixtures.installation import installation_home
from holdfast.usecases.archiving import receiver

ROOT = Path(__file__).parents[2]
BIN = max(Path("/usr/lib/postgresql").glob("*/bin"))


@pytest.fixture(scope="module")
def archiving() -> Iterator[Archiving]:
    server = running_postgres()
    with installation_home() as home:
        installation = Archiving(home, {"HOLDFAST_DEAD": "3"})
        installation.postgres = server.database
        installation.start()
        try:
            yield installation
        finally:
            installation.end()
            server.stop()


def test_archives_an_attached_server(archiving: Archiving) -> None:
    archiving.attach()
    run = archiving.postgres.run
    answer = archiving.api.post(f"{archiving.addon}/archive", INTERVAL)
    assert answer.status == 409
    assert "ALTER SYSTEM SET max_slot_wal_keep_size" in answer.error["message"]
    run("ALTER SYSTEM SET max_slot_wal_keep_size = '1GB'")
    run("SELECT pg_reload_conf()")
    assert archiving.api.post(f"{archiving.addon}/archive", INTERVAL).data["enabled"]
    run("CREATE TABLE t AS SELECT g FROM generate_series(1, 1000) g")
    archiving.await_stored()
    window = await_that(archiving.window)
    assert window["startTimestamp"] < window["endTimestamp"]


def test_its_archive_is_measured(archiving: Archiving) -> None:
    archiving.await_window()
    text = archiving.api.based("").raw("GET", "/metrics").text
    values = {
        sample.name.removeprefix("holdfast_addon_"): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name.startswith("holdfast_addon_")
    }
    begin, end = (values[f"archive_window_{edge}_timestamp_seconds"] for edge in ("start", "end"))
    assert begin < end == values["last_recoverable_timestamp_seconds"]
    assert values["archive_at_stake_seconds"] < 60
    assert 0 < values["archive_slack_bytes"] <= values["archive_slack_limit_bytes"] == 1 << 30
    assert values["archive_stored_bytes"] > 0
    still = ("archive_state", "archive_gaps", "archive_unreached_seconds", "archive_behind_bytes")
    assert [values[name] for name in still] == [1, 0, 0, 0]


@pytest.fixture(scope="module")
def managing() -> Iterator[Archiving]:
    with archived_postgres() as installation:
        yield installation


def test_recovers_to_an_instant_and_again_after_that(managing: Archiving) -> None:
    managing.sql("INSERT INTO t SELECT generate_series(1, 100)")
    before = managing.instant()
    managing.sql("DELETE FROM t")
    managing.await_window()
    restore = managing.recover(targetTimestamp=before)
    assert managing.sql("SELECT count(*) FROM t") == [(100,)]
    assert "firstLeftOut" in restore["report"]

    managing.sql("INSERT INTO t SELECT generate_series(101, 150)")
    managing.sql("INSERT INTO t VALUES (-1)")
    managing.sql("DELETE FROM t WHERE n > 10")
    ((next_one,),) = managing.sql("SELECT pg_current_xact_id()::text::bigint")
    managing.await_window()
    managing.recover(beforeTransaction=str(next_one - 1))
    assert managing.sql("SELECT count(*) FROM t") == [(151,)]


def test_a_drill_restores_a_moment(managing: Archiving) -> None:
    managing.sql("CREATE TABLE drilled AS SELECT 1 AS n")
    moment = managing.instant()
    managing.sql("DROP TABLE drilled")
    managing.await_window()
    found = drilled(managing, "SELECT count(*) = 1 FROM drilled", moment)
    assert "first left out" in found["the log leads to the moment"]


def test_refuses_what_it_does_not_hold(managing: Archiving) -> None:
    def problem(status: int, **target: Any) -> str:
        answer = managing.api.post(f"{managing.addon}/pitr", target)
        assert answer.status == status
        return str(answer.error["message"])

    must = "targetTimestamp must be a time with an offset, such as 2026-11-30T01:09:00Z"
    for text in ("yesterday", "2026-11-30T01:09:00", ""):
        assert problem(400, targetTimestamp=text) == must
    assert "exactly one of" in problem(400)
    early = problem(409, targetTimestamp="2020-01-01T00:00:00Z")
    assert "is before the window, which begins at 2" in early
    late = problem(409, targetTimestamp="2100-01-01T01:00:00+01:00")
    assert late.startswith("2100-01-01T00:00:00.000Z is not stored yet: the window ends at 2")


@pytest.mark.slow
def test_a_kill_and_a_crash_leave_no_gap(managing: Archiving) -> None:
    count = managing.sql("SELECT count(*) FROM t")[0][0]
    managing.await_window()
    gaps = managing.archive()["gaps"]
    uri = managing.uri()
    managing.kill()
    run_sql(uri, "INSERT INTO t SELECT generate_series(1, 50)")
    managing.start()
    with psycopg.connect(uri) as victim:  # whose death makes the server recover from a crash
        os.kill(victim.info.backend_pid, signal.SIGKILL)

    def is_back() -> bool:
        try:
            return managing.sql("SELECT count(*) FROM t") == [(count + 50,)]
        except psycopg.OperationalError:
            return False

    await_that(is_back)
    managing.sql("INSERT INTO t VALUES (1)")
    ((position,),) = managing.sql("SELECT pg_current_wal_insert_lsn()")
    managing.sql("DROP TABLE t")
    managing.await_window()
    assert managing.archive()["gaps"] == gaps
    managing.recover(targetPosition=position)
    assert managing.sql("SELECT count(*) FROM t") == [(count + 51,)]


@pytest.mark.slow
def test_a_server_that_was_put_back_begins_anew(managing: Archiving) -> None:
    data = managing.addon_home / "data"
    managing.api.post(f"{managing.addon}/pause")
    managing.await_status("paused")
    subprocess.run(["cp", "-a", data, data.with_name("copy")], check=True)
    managing.api.post(f"{managing.addon}/resume")
    managing.await_status("running")
    managing.sql("INSERT INTO t SELECT generate_series(1, 1000)")
    moment = managing.instant()
    managing.await_window()
    managing.api.post(f"{managing.addon}/pause")
    managing.await_status("paused")
    shutil.rmtree(data)
    data.with_name("copy").rename(data)
    managing.api.post(f"{managing.addon}/resume")
    managing.await_status("running")
    # As much and other: only the bytes tell that it is another history.
    managing.sql("INSERT INTO t SELECT generate_series(2001, 3000)")
    managing.sql("INSERT INTO t SELECT generate_series(2001, 3000)")
    managing.await_window()
    assert managing.archive()["gaps"][-1]["reason"] == receiver.OTHER_HISTORY
    assert managing.window()
    managing.recover(targetTimestamp=moment)
    assert managing.sql("SELECT count(*) FROM t WHERE n > 2000") == [(0,)]


def test_a_lost_slot_is_a_gap_that_is_named_and_healed(archiving: Archiving) -> None:
    run = archiving.postgres.run
    run("ALTER SYSTEM SET max_slot_wal_keep_size = '32MB'")
    run("ALTER SYSTEM SET max_wal_size = '64MB'")
    run("SELECT pg_reload_conf()")
    archiving.await_stored()
    archiving.kill()
    for _ in range(8):
        run("SELECT pg_logical_emit_message(false, 'x', repeat('x', 10000000))")
        run("SELECT pg_switch_wal()")
        run("CHECKPOINT")
    assert run("SELECT wal_status FROM pg_replication_slots") == [("lost",)]
    archiving.start()
    archiving.await_stored()
    await_that(lambda: archiving.archive()["gaps"])
    [gap] = archiving.archive()["gaps"]
    assert gap["reason"] == "the server removed its log before it was stored"
    assert gap["startTimestamp"] < gap["endTimestamp"]
    between = f"{gap['startTimestamp'][:-1]}9Z"
    refused = archiving.api.post(f"{archiving.addon}/pitr", {"targetTimestamp": between})
    assert refused.error["message"].endswith(f"to {gap['endTimestamp']}: {gap['reason']}")


def test_other_settings_are_taken_at_once(archiving: Archiving) -> None:
    receivers = "SELECT fence FROM archives"
    before = archiving.catalogue(receivers)
    archiving.api.post(f"{archiving.addon}/archive", {"intervalSeconds": 2})
    await_that(lambda: archiving.catalogue(receivers) > before)
    archiving.await_stored()


def test_switched_off_it_lets_the_server_go(archiving: Archiving) -> None:
    assert archiving.postgres.run("SELECT count(*) FROM pg_replication_slots") == [(1,)]
    archiving.api.delete(f"{archiving.addon}/archive")
    await_that(
        lambda: archiving.postgres.run("SELECT count(*) FROM pg_replication_slots") == [(0,)]
    )
    await_that(lambda: archiving.archive()["status"] == "off")
    assert archiving.window()


def test_deleted_it_lets_the_server_go_for_good(archiving: Archiving) -> None:
    archiving.api.post(f"{archiving.addon}/archive", INTERVAL)
    slots = "SELECT count(*) FROM pg_replication_slots"
    await_that(lambda: archiving.postgres.run(slots) == [(1,)])
    archiving.api.delete(archiving.addon)
    await_that(lambda: archiving.postgres.run(slots) == [(0,)])
    state = "SELECT wanted, state FROM archives"
    await_that(
        lambda: archiving.catalogue(state) == [(0, "off")], why=archiving.server.log.read_text
    )


@pytest.fixture
def scratch() -> Iterator[Path]:
    with installation_home() as home:
        yield home


def test_opens_without_us(managing: Archiving, scratch: Path) -> None:
    """The lines of `docs/formats/archive.md`, as printed, after a restore by restic."""
    count = managing.sql("SELECT count(*) FROM t")
    managing.await_window()
    kit = managing.api.post("/platform-store/recovery-kit").data
    [repository] = kit["repositories"]
    environment = {"PATH": os.environ["PATH"], "RESTIC_PASSWORD": kit["passphrase"], "HOME": "/tmp"}
    restic = ["restic", "--no-cache", "-r", repository["url"], "restore", "latest"]
    subprocess.run(
        [*restic, "--target", str(scratch / "restored")],
        env=environment, check=True, capture_output=True,
    )  # fmt: skip
    (scratch / "restored" / "holdfast" / "archive-key.txt").rename(scratch / "key.txt")
    [(newest,)] = managing.catalogue("SELECT root FROM archive_lines ORDER BY pk DESC LIMIT 1")
    [root] = managing.data_dir.glob(f"store/archive/*/*/*/{newest}")

    def copied() -> bool:
        """A segment that is full takes the place of its pieces meanwhile."""
        shutil.rmtree(scratch / "root", ignore_errors=True)
        with suppress(shutil.Error, FileNotFoundError):
            shutil.copytree(root, scratch / "root")
            return True
        return False

    await_that(copied)
    text = (ROOT / "docs/formats/archive.md").read_text()
    script = text.partition("### WAL")[2].partition("```sh\n")[2].partition("```")[0]
    lay_out, _, start = script.partition("touch ")
    subprocess.run(["sh", "-ec", lay_out], cwd=scratch, check=True)
    port = free_port()
    words = f"export PATH={BIN}:$PATH; touch {start}".replace("#", f"-p {port} -k {scratch} #")
    (scratch / "restored/data").chmod(0o700)
    if os.geteuid() == 0:
        subprocess.run(["chown", "-R", "postgres", scratch], check=True)
    user = "postgres" if os.geteuid() == 0 else None
    server = subprocess.Popen(
        ["sh", "-ec", f"exec >log 2>&1; {words}"], cwd=scratch,  user=user,
        start_new_session=True,
    )  # fmt: skip
    try:
        secrets = managing.api.get(f"{managing.addon}/credentials").data["secrets"]
        uri = secrets["POSTGRES_URI"].replace(f":{managing_port(managing)}/", f":{port}/")

        def rows() -> list[tuple[Any, ...]] | None:
            with suppress(psycopg.OperationalError):
                if run_sql(uri, "SELECT pg_is_in_recovery()") == [(False,)]:
                    return run_sql(uri, "SELECT count(*) FROM t")
            return None

        assert await_that(rows, why=(scratch / "log").read_text) == count
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def managing_port(managing: Archiving) -> int:
    return int(managing.api.get(managing.addon).data["address"]["port"])
