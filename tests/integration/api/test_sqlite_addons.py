"""SQLite files through the API: attached below the roots, dumped, copied, put back, refused."""

import gzip
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from fixtures.bodies import BILLING, OCTETS, ZSTD_DUMP
from fixtures.holdfast import await_backup, await_restore, await_that, fresh, start_holdfast
from fixtures.http_api import Holdfast
from fixtures.installation import Installation, installation_home, running
from fixtures.offered import Offered
from fixtures.sqlite_data import fingerprint, make


class SqliteInstallation(Installation):
    """It may touch the files below `files`."""

    @property
    def files(self) -> Path:
        return self.home / "files"

    def attach(self, name: str) -> str:
        """The addon's path in the API."""
        body = {"name": fresh("File"), "type": "sqlite"}
        body["connectionString"] = f"sqlite://{self.files / name}"
        addon = self.api.post("/projects/files/addons", body).data
        assert (addon["managed"], addon["status"]) == (False, "running")
        return f"/projects/files/addons/{addon['id']}"

    def backup_of(self, addon: str, kind: str) -> str:
        return self.backup(addon, **order_of(kind))


def order_of(kind: str) -> dict[str, str]:
    return ZSTD_DUMP if kind == "dump" else {"backupType": kind}


@pytest.fixture(scope="module")
def installation() -> Iterator[SqliteInstallation]:
    with installation_home() as home:
        (home / "files").mkdir()
        environment = {"HOLDFAST_SQLITE_ROOTS": str(home / "files"), "HOLDFAST_DEAD": "2"}
        with running(SqliteInstallation(home, environment)) as installation:
            installation.api.post("/projects", {"name": "Files"})
            yield installation


def spoil(path: Path) -> None:
    with closing(sqlite3.connect(path)) as session:
        session.execute("DELETE FROM plain")
        session.execute("DROP TABLE pairs")
        session.commit()


def test_the_type_says_what_it_can(installation: SqliteInstallation) -> None:
    kinds = {each["type"]: each for each in installation.api.get("/addon-types").data["addonTypes"]}
    features = kinds["sqlite"]["features"]
    assert (features["backupsDump"], features["backupsSnapshot"]) == (True, True)
    assert (features["managed"], features["tls"], features["customDBName"]) == (False,) * 3
    assert kinds["sqlite"]["versions"] == [sqlite3.sqlite_version]
    body = {"name": "Run one", "type": "sqlite", "billing": BILLING}
    assert list(installation.api.post("/projects/files/addons", body).details) == ["type"]


@pytest.mark.parametrize("kind", ["dump", "snapshot"])
@pytest.mark.parametrize("wal", [True, False])
def test_a_file_is_put_back_while_it_is_open(
    installation: SqliteInstallation, kind: str, wal: bool
) -> None:
    path = installation.files / f"{kind}-{wal}.db"
    make(path, wal=wal)
    before = fingerprint(path)
    addon = installation.attach(path.name)
    backup = installation.backup_of(addon, kind)
    evidence = installation.api.get(f"{backup}/evidence").data
    assert all(check["passed"] for check in evidence["checks"])
    spoil(path)
    with closing(sqlite3.connect(path)) as other:
        assert other.execute("SELECT count(*) FROM plain").fetchone() == (0,)
        begun = installation.api.post(f"{backup}/restore").data["restoreId"]
        report = await_restore(installation.api, backup, begun)["report"]
        assert other.execute("SELECT count(*) FROM plain").fetchone() > (20,)
    assert report["rows"] > 2000
    assert fingerprint(path) == before
    assert {
        each.name for each in installation.files.iterdir() if each.name.startswith(path.name)
    } <= {*(path.name, f"{path.name}-wal", f"{path.name}-shm")}


def test_a_backup_goes_into_another_file(installation: SqliteInstallation) -> None:
    make(installation.files / "source.db")
    before = fingerprint(installation.files / "source.db")
    source = installation.attach("source.db")
    for kind in ("dump", "snapshot"):
        backup = installation.backup_of(source, kind)
        target = installation.files / f"target-{kind}.db"
        target.touch()
        addon = installation.attach(target.name)
        origin = {"sourceProjectId": "files", "sourceAddonId": source.rpartition("/")[2]}
        here = f"{addon}/backups/{backup.rpartition('/')[2]}"
        begun = installation.api.post(f"{here}/restore", params=origin).data["restoreId"]
        await_restore(installation.api, here, begun, **origin)
        assert fingerprint(target) == before


def test_a_connection_is_tried_before_it_is_attached(installation: SqliteInstallation) -> None:
    make(installation.files / "tried.db", rows=1)
    path, string = "/addon-types/sqlite/probe", f"sqlite://{installation.files / 'tried.db'}"
    probed = installation.api.post(path, {"connectionString": string}).data
    assert (probed["flavour"], probed["version"]) == ("SQLite", sqlite3.sqlite_version)
    assert int(probed["bytes"]) > 0
    refused = installation.api.post(path, {"connectionString": f"{string}x"})
    assert (refused.status, list(refused.details)) == (400, ["connectionString"])


def test_a_sample_is_made_once_and_attached(tmp_path: Path) -> None:
    bare = start_holdfast(tmp_path, forked=True)
    try:
        api = bare.api()
        assert api.post("/addon-types/redis/sample").status == 400
        string = api.post("/addon-types/sqlite/sample").data["connectionString"]
        path = Path(string.removeprefix("sqlite://"))
        with closing(sqlite3.connect(path)) as session:
            (orders,) = session.execute("SELECT count(*) FROM orders").fetchone()
            session.execute("DELETE FROM orders WHERE id = 1")
            session.commit()
        assert orders > 1000
        api.post("/addon-types/sqlite/sample")
        with closing(sqlite3.connect(path)) as session:
            left = session.execute("SELECT count(*) FROM orders").fetchone()
        assert left == (orders - 1,), "the one that is there stays"
        api.post("/projects", {"name": "Files"})
        body = {"name": "Sample", "type": "sqlite"}
        for text in (f"{string}/../../holdfast.db", f"sqlite://{path.parent}/../holdfast.db"):
            refused = api.post("/projects/files/addons", {**body, "connectionString": text})
            assert refused.status == 400, text
        made = api.post("/projects/files/addons", {**body, "connectionString": string})
        assert made.status == 200
    finally:
        bare.stop()


def test_only_allowed_files_are_attached(installation: SqliteInstallation, tmp_path: Path) -> None:
    make(installation.home / "secret.db", rows=1)
    (installation.files / "link.db").symlink_to(installation.home / "secret.db")
    for text in (
        f"sqlite://{installation.home}/secret.db",
        f"sqlite://{installation.files}/link.db",
        f"sqlite://{installation.files}/../secret.db",
        f"sqlite://{installation.home}/data/holdfast.db",
        f"sqlite://{installation.files}/absent.db",
        "sqlite:///etc/passwd",
    ):
        body = {"name": fresh("Bad"), "type": "sqlite", "connectionString": text}
        refused = installation.api.post("/projects/files/addons", body)
        assert (refused.status, list(refused.details)) == (400, ["connectionString"]), text
    bare = start_holdfast(tmp_path, forked=True)
    try:
        bare.api().post("/projects", {"name": "Files"})
        body = {"name": "Any", "type": "sqlite"}
        body["connectionString"] = f"sqlite://{installation.home}/secret.db"
        refused = bare.api().post("/projects/files/addons", body)
        assert "--sqlite-roots" in refused.error["message"]
    finally:
        bare.stop()


def test_a_snapshot_is_materialised_as_a_file(
    installation: SqliteInstallation,
    fresh_holdfast: Holdfast,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    make(installation.files / "it.db", wal=True)
    backup = installation.backup_of(installation.attach("it.db"), "snapshot")
    _, _, project, _, addon, _, identifier = backup.split("/")
    monkeypatch.setenv("HOLDFAST_TOKEN", installation.server.token)
    words = [
        "--host",
        installation.server.url,
        "-p",
        project,
        "-a",
        addon,
        "--to",
        str(tmp_path / "it"),
    ]
    ran = fresh_holdfast("backup", "materialise", identifier, *words)
    assert ran.status == 0, ran.err
    assert "database.db" in ran.err
    found = fingerprint(tmp_path / "it" / "data" / "database.db")
    assert found == fingerprint(installation.files / "it.db")


KILLS = [
    ("dump", "backup:copy:before"),
    ("snapshot", "snapshot:capture:during"),
    ("dump", "restore:stage:after"),
    ("dump", "restore:swap:after"),
    ("snapshot", "refill:check:after"),
    ("snapshot", "refill:swap:before"),
    ("snapshot", "refill:swap:after"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "moment"), KILLS)
def test_a_killed_worker_is_taken_over(
    installation: SqliteInstallation, kind: str, moment: str
) -> None:
    path = installation.files / f"{kind}-{moment.replace(':', '-')}.db"
    make(path, rows=6000)
    before = fingerprint(path)
    addon = installation.attach(path.name)
    if moment.startswith(("backup", "snapshot")):
        installation.restart(MORTAL_AT=moment)
        body = {"name": fresh("Killed"), **order_of(kind)}
        made = installation.api.post(f"{addon}/backups", body).data
        assert await_that(installation.server.child.poll) == -9
        installation.restart()
        await_backup(installation.api, f"{addon}/backups/{made['id']}")
        return
    backup = installation.backup_of(addon, kind)
    spoil(path)
    installation.restart(MORTAL_AT=moment)
    begun = installation.api.post(f"{backup}/restore").data["restoreId"]
    assert await_that(installation.server.child.poll) == -9
    installation.restart()
    await_restore(installation.api, backup, begun)
    assert fingerprint(path) == before


def test_files_that_others_made_come_in_by_address_and_by_upload(
    installation: SqliteInstallation, offered: Offered
) -> None:
    make(installation.files / "theirs.db", encoding="UTF-16le")
    file, before = (
        (installation.files / "theirs.db").read_bytes(),
        fingerprint(installation.files / "theirs.db"),
    )
    (installation.files / "into.db").touch()
    addon = installation.attach("into.db")
    url = offered.offer("/any", gzip.compress(file))
    made = installation.api.post(f"{addon}/import", {"importUrl": url}).data["id"]
    await_backup(installation.api, f"{addon}/backups/{made}")
    installation.restore(f"{addon}/backups/{made}")
    assert fingerprint(installation.files / "into.db") == before
    text = b"BEGIN;\nCREATE TABLE t (a);\nINSERT INTO t VALUES(1);\nCOMMIT;\n"
    upload = installation.api.post(f"{addon}/uploads", {"size": len(text)}).data["id"]
    content = f"{addon}/uploads/{upload}/content"
    installation.api.ask("PUT", content, params={"offset": 0}, content=text, headers=OCTETS)
    made = installation.api.post(f"{addon}/import", {"uploadId": upload}).data["id"]
    backup = await_backup(installation.api, f"{addon}/backups/{made}")
    assert backup["config"]["source"] == {"type": "fileUpload"}
    installation.restore(f"{addon}/backups/{made}")
    with closing(sqlite3.connect(installation.files / "into.db")) as session:
        assert session.execute("SELECT * FROM t").fetchall() == [(1,)]
        assert session.execute("SELECT count(*) FROM sqlite_schema").fetchone() == (1,)
    cut = installation.api.post(
        f"{addon}/import", {"importUrl": offered.offer("/cut", file[:9000])}
    )
    failed = await_backup(installation.api, f"{addon}/backups/{cut.data['id']}", "failed")
    assert "damaged" in failed["reason"]
