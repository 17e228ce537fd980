"""Archives of MariaDB's binary log: any instant comes back, and what is missing is named."""

import json
import os
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fixtures.archived_mariadb import INTERVAL, LOGGING, ArchivedMariaDB, archived_mariadb
from fixtures.drills import drilled
from fixtures.holdfast import await_that
from fixtures.installation import installation_home
from fixtures.mysql import MySQLServer, StartMySQL, url_of
from holdfast.contracts.archive import OTHER_HISTORY
from holdfast.engines.mysql.client.address import connect, parse
from holdfast.engines.mysql.client.commands import PID_FILE
from holdfast.jobs.snapshots.restore_in_place import RESTORED
from holdfast.kit.seal import Secret

USER = "mysql"
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def managing() -> Iterator[ArchivedMariaDB]:
    with archived_mariadb() as installation:
        yield installation


def fill(archiving: ArchivedMariaDB, begin: int, end: int) -> None:
    archiving.sql(f"INSERT INTO t (n) SELECT seq FROM seq_{begin}_to_{end}")


def count(archiving: ArchivedMariaDB) -> int:
    return int(archiving.sql("SELECT count(*) FROM t")[0][0])


def test_recovers_to_an_instant_and_again_after_that(managing: ArchivedMariaDB) -> None:
    fill(managing, 1, 100)
    managing.sql("CREATE EVENT sleepy ON SCHEDULE EVERY 1 DAY DISABLE DO DELETE FROM t")
    managing.sql("CREATE EVENT awake ON SCHEDULE EVERY 1 YEAR DO DELETE FROM t WHERE n < 0")
    managing.sql("ALTER EVENT awake ON SCHEDULE EVERY 2 YEAR")
    managing.sql("CALL mysql.holdfast_create_user('reader', 'secret')")
    before = managing.now()
    managing.sql("DROP TABLE t")
    managing.await_stored()
    answer = managing.api.get(f"{managing.addon}/archive/changes", around=before, table="t")
    filled, dropped = answer.data["changes"][-2:]
    assert [(table["table"], table["inserted"]) for table in filled["tables"]] == [("t", 100)]
    assert dropped["statement"] == "DROP TABLE `t`"
    restore = managing.recover(targetTimestamp=before)
    assert count(managing) == 100
    assert restore["report"]["lastKept"]["transaction"].startswith("0-1-")
    columns = "event_name, status, interval_value, definer"
    events = managing.sql(f"SELECT {columns} FROM information_schema.events ORDER BY 1")
    owner = f"{parse(managing.uri()).user}@%"
    assert events == [("awake", "ENABLED", "2", owner), ("sleepy", "DISABLED", "1", owner)]
    login = replace(parse(managing.uri()), user="reader", password=Secret("secret"))
    connect(login).close()

    fill(managing, 101, 150)
    managing.await_stored()
    position = managing.position()
    managing.sql("DELETE FROM t")
    managing.await_stored()
    assert managing.archive()["gaps"][-1]["reason"] == RESTORED
    managing.recover(targetPosition=position)
    assert count(managing) == 150


@pytest.mark.slow
def test_a_server_that_was_put_back_begins_anew(managing: ArchivedMariaDB) -> None:
    data = managing.addon_home / "data"

    def be(verb: str, status: str) -> None:
        managing.api.post(f"{managing.addon}/{verb}")
        managing.await_status(status)

    managing.await_stored()
    be("pause", "paused")
    subprocess.run(["cp", "-a", data, data.with_name("copy")], check=True)
    be("resume", "running")
    managing.sql("CREATE OR REPLACE TABLE back (n INT)")
    managing.sql("INSERT INTO back SELECT seq FROM seq_1_to_1000")
    moment = managing.now()
    managing.await_stored()
    be("pause", "paused")
    shutil.rmtree(data)
    data.with_name("copy").rename(data)
    be("resume", "running")
    # As much and other: only the bytes tell that it is another history.
    managing.sql("CREATE OR REPLACE TABLE back (n INT)")
    managing.sql("INSERT INTO back SELECT seq FROM seq_2001_to_4000")
    managing.await_stored()
    assert managing.archive()["gaps"][-1]["reason"] == OTHER_HISTORY
    managing.recover(targetTimestamp=moment)
    assert managing.sql("SELECT max(n) FROM back") == [(1000,)]
    managing.await_stored()


def test_a_drill_restores_a_moment(managing: ArchivedMariaDB) -> None:
    managing.await_stored()  # a restore before this one began a window of its own
    managing.sql("CREATE TABLE drilled AS SELECT 1 AS n")
    moment = managing.now()
    managing.sql("DROP TABLE drilled")
    managing.await_stored()
    found = drilled(managing, "SELECT count(*) = 1 FROM drilled", moment)
    assert "transaction 0-" in found["the log leads to the moment"]


def test_refuses_what_it_does_not_hold(managing: ArchivedMariaDB) -> None:
    def problem(status: int, **target: Any) -> str:
        answer = managing.api.post(f"{managing.addon}/pitr", target)
        assert answer.status == status
        return str(answer.error["message"])

    assert "such as mariadb-bin.000012:4711" in problem(400, targetPosition="16/B374D848")
    assert "must be a GTID, such as 0-1-4711" in problem(400, beforeTransaction="28747")
    assert "is in none of the archive's windows" in problem(409, targetPosition="999999:4")


@pytest.fixture
def scratch() -> Iterator[Path]:
    with installation_home() as home:
        yield home


def test_opens_without_us(managing: ArchivedMariaDB, scratch: Path) -> None:
    """The lines of `docs/formats/archive.md`, as printed, after a restore by restic."""
    fill(managing, 1, 10)
    rows = count(managing)
    managing.await_stored()
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
    script = text.partition("### A binary log")[2].partition("```sh\n")[2].partition("```")[0]
    question = f"SELECT count(*) FROM {parse(managing.uri()).database}.t;"
    asking = script.replace('echo "SHUTDOWN;"', f'echo "{question}"; echo "SHUTDOWN;"')
    done = subprocess.run(
        ["sh", "-ec", asking], cwd=scratch, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.split()[-1] == str(rows)


def control_of(server: MySQLServer) -> dict[str, object]:
    data, command = server.place.directory, server.engine.command(server.place)
    pid = data / PID_FILE
    stop = f"p=$(cat {pid}); kill $p; while kill -0 $p 2>/dev/null; do sleep 0.1; done"
    as_user = ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups"]
    words = shlex.join([*(as_user if os.geteuid() == 0 else ()), *command.argv, *server.options])
    start = f"cd {data} && exec setsid -f {words} >>{server.log} 2>&1"
    return {
        "dataDirectory": str(data), "stop": ["sh", "-c", stop], "start": ["sh", "-c", start],
    }  # fmt: skip


@pytest.fixture(scope="module")
def attached(start_mysql: StartMySQL) -> Iterator[tuple[ArchivedMariaDB, MySQLServer]]:
    """Its operator lets us stop and start it."""
    server = start_mysql("archived", options=LOGGING)
    with installation_home() as home:
        file = home / "attached.json"
        file.write_text(json.dumps({"own/own": control_of(server)}))
        file.chmod(0o600)
        environment = {"HOLDFAST_DEAD": "3", "HOLDFAST_ATTACHED_FILE": str(file)}
        installation = ArchivedMariaDB(home, environment, "/projects/own/addons/own")
        installation.start()
        try:
            installation.api.post("/projects", {"name": "Own"})
            body = {"name": "Own", "type": "mysql", "connectionString": url_of(server)}
            installation.api.post("/projects/own/addons", body)
            server.execute("CREATE TABLE main.t (n INT)")
            yield installation, server
        finally:
            installation.end()


def test_archives_an_attached_server(attached: tuple[ArchivedMariaDB, MySQLServer]) -> None:
    archiving, server = attached
    server.execute("SET GLOBAL sync_binlog = 0")
    answer = archiving.api.patch(archiving.addon, {"pitrEnabled": True})
    assert answer.status == 409
    assert "SET GLOBAL sync_binlog = 1" in answer.error["message"]
    server.execute("SET GLOBAL sync_binlog = 1")
    assert archiving.api.patch(archiving.addon, {"pitrEnabled": True}).status == 200
    archiving.api.post(f"{archiving.addon}/archive", INTERVAL)
    await_that(archiving.window, 60, archiving.why)
    archiving.await_stored()


def test_log_that_was_removed_is_a_gap_that_is_named_and_healed(
    attached: tuple[ArchivedMariaDB, MySQLServer],
) -> None:
    archiving, server = attached
    archiving.kill()
    server.execute("FLUSH BINARY LOGS", "INSERT INTO main.t VALUES (1)", "FLUSH BINARY LOGS")
    [(newest, *_)] = server.execute("SHOW MASTER STATUS")
    server.execute(f"PURGE BINARY LOGS TO '{newest}'")
    archiving.start()
    await_that(lambda: archiving.archive()["gaps"], 60, archiving.why)
    [gap] = archiving.archive()["gaps"]
    assert gap["reason"] == "the server removed its log before it was stored"


def test_an_attached_server_is_recovered_by_its_operators_commands(
    attached: tuple[ArchivedMariaDB, MySQLServer],
) -> None:
    archiving, server = attached
    server.execute("CREATE TABLE main.u SELECT seq n FROM main.seq_1_to_50")
    [(before,)] = server.execute("SELECT @@gtid_binlog_pos")
    server.execute("DROP TABLE main.u", "DROP TABLE main.t")
    archiving.await_stored()
    archiving.recover(withTransaction=before)
    assert server.execute("SELECT count(*) FROM main.u") == [(50,)]
    assert server.execute("SHOW BINARY LOGS")[0][0] == "mariadb-bin.000001"
