"""SQLite files through the API: attached below the roots, dumped, copied, put back, refused."""

import gzip
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from fixtures.holdfast import (
    HOLDFAST,
    MORTAL,
    Api,
    Server,
    await_backup,
    await_restore,
    await_that,
    fresh,
    start_holdfast,
)
from fixtures.http_api import Holdfast
from fixtures.offered import Offered
from fixtures.sqlite_data import fingerprint, make


@dataclass
class Room:
    """An installation that may touch the files below `files`."""

    home: Path
    server: Server

    @property
    def api(self) -> Api:
        return self.server.api()

    @property
    def files(self) -> Path:
        return self.home / "files"

    def attach(self, name: str) -> str:
        """Its path in the API."""
        body = {"name": fresh("File"), "type": "sqlite"}
        body["connectionString"] = f"sqlite://{self.files / name}"
        made = self.api.post("/projects/files/addons", body).data
        assert (made["managed"], made["status"]) == (False, "running")
        return f"/projects/files/addons/{made['id']}"

    def take(self, addon: str, kind: str) -> str:
        body = {"name": fresh("Taken"), "backupType": kind}
        body |= {"compressionType": "zstd"} if kind == "dump" else {}
        made = self.api.post(f"{addon}/backups", body).data
        await_backup(self.api, f"{addon}/backups/{made['id']}")
        return f"{addon}/backups/{made['id']}"

    def again(self, **environment: str) -> None:
        self.server.stop()
        self.server = start_here(self.home, **environment)


def start_here(home: Path, **environment: str) -> Server:
    return start_holdfast(
        home,
        program=MORTAL if "MORTAL_AT" in environment else HOLDFAST,
        forked=True,
        HOLDFAST_SQLITE_ROOTS=str(home / "files"),
        HOLDFAST_DEAD="2",
        **environment,
    )


@pytest.fixture(scope="module")
def room() -> Iterator[Room]:
    home = Path(tempfile.mkdtemp(prefix="holdfast-"))
    (home / "files").mkdir()
    made = Room(home, start_here(home))
    try:
        made.api.post("/projects", {"name": "Files"})
        yield made
    finally:
        made.server.stop()
        shutil.rmtree(home, ignore_errors=True)


def spoil(path: Path) -> None:
    with closing(sqlite3.connect(path)) as session:
        session.execute("DELETE FROM plain")
        session.execute("DROP TABLE pairs")
        session.commit()


def test_the_type_says_what_it_can(room: Room) -> None:
    kinds = {each["type"]: each for each in room.api.get("/addon-types").data["addonTypes"]}
    features = kinds["sqlite"]["features"]
    assert (features["backupsDump"], features["backupsSnapshot"]) == (True, True)
    assert (features["managed"], features["tls"], features["customDBName"]) == (False,) * 3
    assert kinds["sqlite"]["versions"] == [sqlite3.sqlite_version]
    billing = {"deploymentPlan": "any", "storage": 1024, "replicas": 1}
    body = {"name": "Run one", "type": "sqlite", "billing": billing}
    assert list(room.api.post("/projects/files/addons", body).details) == ["type"]


@pytest.mark.parametrize("kind", ["dump", "snapshot"])
@pytest.mark.parametrize("wal", [True, False])
def test_a_file_is_put_back_while_it_is_open(room: Room, kind: str, wal: bool) -> None:
    path = room.files / f"{kind}-{wal}.db"
    make(path, wal=wal)
    before = fingerprint(path)
    addon = room.attach(path.name)
    backup = room.take(addon, kind)
    evidence = room.api.get(f"{backup}/evidence").data
    assert all(check["passed"] for check in evidence["checks"])
    spoil(path)
    with closing(sqlite3.connect(path)) as other:
        assert other.execute("SELECT count(*) FROM plain").fetchone() == (0,)
        begun = room.api.post(f"{backup}/restore").data["restoreId"]
        report = await_restore(room.api, backup, begun)["report"]
        assert other.execute("SELECT count(*) FROM plain").fetchone() > (20,)
    assert report["rows"] > 2000
    assert fingerprint(path) == before
    assert {each.name for each in room.files.iterdir() if each.name.startswith(path.name)} <= {
        *(path.name, f"{path.name}-wal", f"{path.name}-shm")
    }


def test_a_backup_goes_into_another_file(room: Room) -> None:
    make(room.files / "source.db")
    before = fingerprint(room.files / "source.db")
    source = room.attach("source.db")
    for kind in ("dump", "snapshot"):
        backup = room.take(source, kind)
        target = room.files / f"target-{kind}.db"
        target.touch()
        addon = room.attach(target.name)
        origin = {"sourceProjectId": "files", "sourceAddonId": source.rpartition("/")[2]}
        here = f"{addon}/backups/{backup.rpartition('/')[2]}"
        begun = room.api.post(f"{here}/restore", params=origin).data["restoreId"]
        await_restore(room.api, here, begun, **origin)
        assert fingerprint(target) == before


def test_only_allowed_files_are_attached(room: Room, tmp_path: Path) -> None:
    make(room.home / "secret.db", rows=1)
    (room.files / "link.db").symlink_to(room.home / "secret.db")
    for text in (
        f"sqlite://{room.home}/secret.db",
        f"sqlite://{room.files}/link.db",
        f"sqlite://{room.files}/../secret.db",
        f"sqlite://{room.home}/data/holdfast.db",
        f"sqlite://{room.files}/absent.db",
        "sqlite:///etc/passwd",
    ):
        body = {"name": fresh("Bad"), "type": "sqlite", "connectionString": text}
        refused = room.api.post("/projects/files/addons", body)
        assert (refused.status, list(refused.details)) == (400, ["connectionString"]), text
    bare = start_holdfast(tmp_path, forked=True)
    try:
        bare.api().post("/projects", {"name": "Files"})
        body = {"name": "Any", "type": "sqlite"}
        body["connectionString"] = f"sqlite://{room.home}/secret.db"
        refused = bare.api().post("/projects/files/addons", body)
        assert "--sqlite-roots" in refused.error["message"]
    finally:
        bare.stop()


def test_a_snapshot_is_materialised_as_a_file(
    room: Room, fresh_holdfast: Holdfast, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    make(room.files / "it.db", wal=True)
    backup = room.take(room.attach("it.db"), "snapshot")
    _, _, project, _, addon, _, identifier = backup.split("/")
    monkeypatch.setenv("HOLDFAST_TOKEN", room.server.token)
    words = ["--host", room.server.url, "-p", project, "-a", addon, "--to", str(tmp_path / "it")]
    ran = fresh_holdfast("backup", "materialise", identifier, *words)
    assert ran.status == 0, ran.err
    assert "database.db" in ran.err
    found = fingerprint(tmp_path / "it" / "data" / "database.db")
    assert found == fingerprint(room.files / "it.db")


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
def test_a_killed_worker_is_taken_over(room: Room, kind: str, moment: str) -> None:
    path = room.files / f"{kind}-{moment.replace(':', '-')}.db"
    make(path, rows=6000)
    before = fingerprint(path)
    addon = room.attach(path.name)
    if moment.startswith(("backup", "snapshot")):
        room.again(MORTAL_AT=moment)
        body = {"name": fresh("Killed"), "backupType": kind}
        body |= {"compressionType": "zstd"} if kind == "dump" else {}
        made = room.api.post(f"{addon}/backups", body).data
        assert await_that(room.server.child.poll) == -9
        room.again()
        await_backup(room.api, f"{addon}/backups/{made['id']}")
        return
    backup = room.take(addon, kind)
    spoil(path)
    room.again(MORTAL_AT=moment)
    begun = room.api.post(f"{backup}/restore").data["restoreId"]
    assert await_that(room.server.child.poll) == -9
    room.again()
    await_restore(room.api, backup, begun)
    assert fingerprint(path) == before


def test_files_that_others_made_come_in_by_address_and_by_upload(
    room: Room, offered: Offered
) -> None:
    make(room.files / "theirs.db", encoding="UTF-16le")
    file, before = (room.files / "theirs.db").read_bytes(), fingerprint(room.files / "theirs.db")
    (room.files / "into.db").touch()
    addon = room.attach("into.db")
    url = offered.offer("/any", gzip.compress(file))
    made = room.api.post(f"{addon}/import", {"importUrl": url}).data["id"]
    await_backup(room.api, f"{addon}/backups/{made}")
    restore_one(room.api, f"{addon}/backups/{made}")
    assert fingerprint(room.files / "into.db") == before
    text = b"BEGIN;\nCREATE TABLE t (a);\nINSERT INTO t VALUES(1);\nCOMMIT;\n"
    upload = room.api.post(f"{addon}/uploads", {"size": len(text)}).data["id"]
    room.api.ask("PUT", f"{addon}/uploads/{upload}/content", params={"offset": 0}, content=text,
                 headers={"content-type": "application/octet-stream"})  # fmt: skip
    made = room.api.post(f"{addon}/import", {"uploadId": upload}).data["id"]
    backup = await_backup(room.api, f"{addon}/backups/{made}")
    assert backup["config"]["source"] == {"type": "fileUpload"}
    restore_one(room.api, f"{addon}/backups/{made}")
    with closing(sqlite3.connect(room.files / "into.db")) as session:
        assert session.execute("SELECT * FROM t").fetchall() == [(1,)]
        assert session.execute("SELECT count(*) FROM sqlite_schema").fetchone() == (1,)
    cut = room.api.post(f"{addon}/import", {"importUrl": offered.offer("/cut", file[:9000])})
    failed = await_backup(room.api, f"{addon}/backups/{cut.data['id']}", "failed")
    assert "damaged" in failed["reason"]


def restore_one(api: Api, backup: str) -> None:
    headers = {"idempotency-key": fresh("key")}
    begun = api.post(f"{backup}/restore", headers=headers).data["restoreId"]
    await_restore(api, backup, begun)
