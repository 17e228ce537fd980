"""Twenty damages to what is stored: each is a drill that failed, and names what is wrong."""

import gzip
import hashlib
import json
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from fixtures.drills import DrillInstallation
from fixtures.holdfast import fresh
from fixtures.installation import installation_home, running

Damage = Callable[["Damaged"], None]


class Damaged(DrillInstallation):
    """One SQLite file with a dump and a snapshot, and one PostgreSQL with a dump."""

    def fill(self) -> None:
        self.manage_first("Damage", "Orders")
        self.sql(
            "CREATE TABLE orders AS SELECT n AS id, md5(n::text) AS note"
            " FROM generate_series(1, 20000) n"
        )
        path = self.home / "files" / "orders.db"
        with sqlite3.connect(path) as connection:
            connection.execute("CREATE TABLE orders (id integer PRIMARY KEY, note text)")
            connection.execute("CREATE TABLE other (id integer PRIMARY KEY, note text)")
            rows = [(n, hashlib.sha256(bytes([n])).hexdigest()) for n in range(200)]
            connection.executemany("INSERT INTO orders VALUES (?, ?)", rows)
            connection.executemany("INSERT INTO other VALUES (?, ?)", rows)
        connection.close()
        body = {"name": "File", "type": "sqlite", "connectionString": f"sqlite://{path}"}
        self.file = self.addon.rpartition("/")[0] + "/file"
        self.api.post(self.addon.rpartition("/")[0], body)
        self.backups = {
            "dump": self.backup(backupType="dump", compressionType="zstd"),
            "text": self.backup(self.file, backupType="dump", compressionType="gz"),
            "snapshot": self.backup(self.file, backupType="snapshot"),
        }

    def objects(self, kind: str) -> list[Path]:
        """The files of a backup's copy, the largest first; of a snapshot its whole repository."""
        identifier = self.backups[kind].rpartition("/")[2]
        ((prefix,),) = self.catalogue(
            "SELECT objects FROM copies JOIN backups ON backups.pk = copies.backup_pk"
            " WHERE backups.id = ?",
            identifier,
        )
        if kind == "snapshot":
            prefix = prefix.partition("/snapshots/")[0]
        found = [path for path in (self.data_dir / "store" / prefix).rglob("*") if path.is_file()]
        return sorted(found, key=lambda path: path.stat().st_size, reverse=True)

    def forge(self, change: Callable[[str], str | bytes]) -> None:
        """Changes the statements of the dump of the file, and every digest along with them."""
        named = {path.name: path for path in self.objects("text")}
        manifest = named["manifest.json"]
        document: dict[str, Any] = json.loads(manifest.read_bytes())
        (member,) = document["members"]
        stored = named[member["key"]]
        changed = change(gzip.decompress(stored.read_bytes()).decode())
        plain = changed.encode() if isinstance(changed, str) else changed
        body = gzip.compress(plain)
        write(stored, body)
        member |= {"plain_bytes": len(plain), "plain_sha256": hashlib.sha256(plain).hexdigest()}
        member |= {"stored_bytes": len(body), "stored_sha256": hashlib.sha256(body).hexdigest()}
        text = json.dumps(document).encode()
        write(manifest, text)
        identifier = self.backups["text"].rpartition("/")[2]
        ((evidence,),) = self.catalogue("SELECT evidence FROM backups WHERE id = ?", identifier)
        new = {**json.loads(evidence), "manifestSha256": hashlib.sha256(text).hexdigest()}
        self.catalogue("UPDATE backups SET evidence = ? WHERE id = ?", json.dumps(new), identifier)


def write(path: Path, body: bytes) -> None:
    path.chmod(0o600)
    path.write_bytes(body)


def flipped(path: Path, at: float) -> None:
    body = bytearray(path.read_bytes())
    body[min(len(body) - 1, round(len(body) * at))] ^= 1
    write(path, bytes(body))


def cut(path: Path, share: float) -> None:
    body = path.read_bytes()
    write(path, body[: round(len(body) * share)])


def swap(one: Path, other: Path) -> None:
    first, second = one.read_bytes(), other.read_bytes()
    write(one, second)
    write(other, first)


def below(installation: Damaged, folder: str) -> list[Path]:
    """The objects of one kind in the snapshot's repository."""
    return [path for path in installation.objects("snapshot") if f"/{folder}/" in str(path)]


def manifest_of(installation: Damaged) -> Path:
    return next(path for path in installation.objects("dump") if path.name == "manifest.json")


DAMAGES: dict[str, tuple[str, Damage]] = {
    "a byte in the middle of a member": ("dump", lambda i: flipped(i.objects("dump")[0], 0.5)),
    "the first byte of a member": ("dump", lambda i: flipped(i.objects("dump")[0], 0)),
    "the last byte of a member": ("dump", lambda i: flipped(i.objects("dump")[0], 1)),
    "a member cut in half": ("dump", lambda i: cut(i.objects("dump")[0], 0.5)),
    "a member without its last bytes": ("dump", lambda i: cut(i.objects("dump")[0], 0.999)),
    "an empty member": ("dump", lambda i: cut(i.objects("dump")[0], 0)),
    "a missing member": ("dump", lambda i: i.objects("dump")[0].unlink()),
    "bytes behind a member": (
        "dump",
        lambda i: write(i.objects("dump")[0], i.objects("dump")[0].read_bytes() + b"\0"),
    ),
    "two members that changed places": ("dump", lambda i: swap(*i.objects("dump")[:2])),
    "a changed manifest": ("dump", lambda i: flipped(manifest_of(i), 0.5)),
    "a missing manifest": ("dump", lambda i: manifest_of(i).unlink()),
    "a row that is missing": ("text", lambda i: i.forge(without_a_row)),
    "a row that is there twice": ("text", lambda i: i.forge(with_one_more_row)),
    "a table that is missing": ("text", lambda i: i.forge(without_a_table)),
    "text in another encoding": ("text", lambda i: i.forge(lambda text: text.encode("utf-16"))),
    "statements that end early": ("text", lambda i: i.forge(lambda text: text[: len(text) // 2])),
    "a byte in a pack": ("snapshot", lambda i: flipped(below(i, "data")[0], 0.5)),
    "a pack cut short": ("snapshot", lambda i: cut(below(i, "data")[0], 0.7)),
    "a missing pack": ("snapshot", lambda i: below(i, "data")[0].unlink()),
    "a missing snapshot object": ("snapshot", lambda i: below(i, "snapshots")[0].unlink()),
}


def _row(text: str) -> str:
    return next(line for line in text.splitlines(keepends=True) if "VALUES" in line)


def without_a_row(text: str) -> str:
    return text.replace(_row(text), "", 1)


def with_one_more_row(text: str) -> str:
    row = _row(text)
    head, _, values = row.partition("VALUES")
    number = values.strip(" (").partition(",")[0]
    return text.replace(row, row + head + "VALUES" + values.replace(number, "70001", 1), 1)


def without_a_table(text: str) -> str:
    kept = [line for line in text.splitlines(keepends=True) if "other" not in line]
    return "".join(kept)


@pytest.fixture(scope="module")
def damaged() -> Iterator[Damaged]:
    with installation_home() as home:
        (home / "files").mkdir(mode=0o755)
        environment = {"HOLDFAST_SQLITE_ROOTS": str(home / "files")}
        with running(Damaged(home, environment)) as installation:
            installation.fill()
            yield installation


@pytest.fixture
def whole(damaged: Damaged) -> Iterator[Damaged]:
    """The installation, whose store and evidence are whole again afterwards."""
    store, kept = damaged.data_dir / "store", damaged.home / fresh("kept")
    shutil.copytree(store, kept)
    evidence = damaged.catalogue("SELECT evidence, pk FROM backups")
    yield damaged
    shutil.rmtree(store)
    shutil.copytree(kept, store)
    for document, pk in evidence:
        damaged.catalogue("UPDATE backups SET evidence = ? WHERE pk = ?", document, pk)


@pytest.mark.parametrize("name", DAMAGES)
def test_a_planted_damage_is_found_and_named(whole: Damaged, name: str) -> None:
    kind, plant = DAMAGES[name]
    plant(whole)
    backup = whole.backups[kind]
    addon = backup.partition("/backups/")[0]
    drill = whole.drill(addon, backup)
    assert drill.get("verdict") == "failed", whole.told(drill, addon)
    failed = [f for f in drill["findings"] if f["verdict"] == "failed"]
    assert all(len(finding["found"]) > 10 for finding in failed)


@pytest.mark.parametrize("kind", ["dump", "text", "snapshot"])
def test_without_damage_it_passes(damaged: Damaged, kind: str) -> None:
    backup = damaged.backups[kind]
    drill = damaged.drill(backup.partition("/backups/")[0], backup)
    assert drill.get("verdict") == "passed", drill
