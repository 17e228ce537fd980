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

    def members(self) -> list[Path]:
        """The two of the dump, the larger first."""
        return [path for path in self.objects("dump") if path.name != "manifest.json"]

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


def lengthened(path: Path) -> None:
    write(path, path.read_bytes() + b"\0")


def swap(one: Path, other: Path) -> None:
    first, second = one.read_bytes(), other.read_bytes()
    write(one, second)
    write(other, first)


def below(installation: Damaged, folder: str) -> list[Path]:
    """The objects of one kind in the snapshot's repository, the largest first."""
    found = installation.objects("snapshot")
    (root,) = {path.parent for path in found if path.name == "config"}
    return [path for path in found if path.relative_to(root).parts[0] == folder]


def manifest_of(installation: Damaged) -> Path:
    return next(path for path in installation.objects("dump") if path.name == "manifest.json")


def without_a_row(text: str) -> str:
    return text.replace(_row(text, 5), "", 1)


def with_one_more_row(text: str) -> str:
    row = _row(text, 5)
    return text.replace(row, row + row.replace("(5,", "(70001,"), 1)


def with_a_changed_table(text: str) -> str:
    return text.replace("CREATE TABLE other", "CREATE TABLE others").replace('"other"', '"others"')


def in_latin(text: str) -> bytes:
    return text.replace(_row(text, 5), "(5,'caf\xe9'),\n", 1).encode("latin-1")


def without_its_end(text: str) -> str:
    return text[: len(text) // 2]


def _row(text: str, number: int) -> str:
    return next(row for row in text.splitlines(keepends=True) if row.startswith(f"({number},"))


DIGEST, UNPACKED, GONE = (
    "its digest differs",
    "the compressed data is damaged",
    "there is no object",
)
DAMAGES: dict[str, tuple[str, Damage, str]] = {
    "a byte in the middle": ("dump", lambda i: flipped(i.objects("dump")[0], 0.5), UNPACKED),
    "the first byte": ("dump", lambda i: flipped(i.objects("dump")[0], 0), UNPACKED),
    "the last byte": ("dump", lambda i: flipped(i.objects("dump")[0], 1), UNPACKED),
    "a member cut in half": ("dump", lambda i: cut(i.objects("dump")[0], 0.5), DIGEST),
    "a member without its end": ("dump", lambda i: cut(i.objects("dump")[0], 0.999), DIGEST),
    "an empty member": ("dump", lambda i: cut(i.objects("dump")[0], 0), DIGEST),
    "a missing member": ("dump", lambda i: i.objects("dump")[0].unlink(), GONE),
    "bytes behind a member": ("dump", lambda i: lengthened(i.objects("dump")[0]), UNPACKED),
    "members in each other's place": ("dump", lambda i: swap(*i.members()), "its digest differs"),
    "a changed manifest": ("dump", lambda i: flipped(manifest_of(i), 0.5), "the stored manifest"),
    "a missing manifest": ("dump", lambda i: manifest_of(i).unlink(), "manifest.json"),
    "a missing row": ("text", lambda i: i.forge(without_a_row), "orders: 200 rows dumped, 199"),
    "one more row": ("text", lambda i: i.forge(with_one_more_row), "200 rows dumped, 201"),
    "another table": ("text", lambda i: i.forge(with_a_changed_table), "other: 200 rows dumped"),
    "another encoding": ("text", lambda i: i.forge(in_latin), "UTF-8"),
    "no end": ("text", lambda i: i.forge(without_its_end), "ends in the middle"),
    "a byte in a pack": ("snapshot", lambda i: flipped(below(i, "data")[0], 0.5), "not what was"),
    "a pack cut short": ("snapshot", lambda i: cut(below(i, "data")[0], 0.7), "is cut off at"),
    "a missing pack": ("snapshot", lambda i: below(i, "data")[0].unlink(), "is missing"),
    "a missing snapshot": ("snapshot", lambda i: below(i, "snapshots")[0].unlink(), "snapshots/"),
}


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


@pytest.mark.parametrize(
    "name",
    [
        name if number % 2 == 0 else pytest.param(name, marks=pytest.mark.slow)
        for number, name in enumerate(DAMAGES)
    ],
)
def test_a_planted_damage_is_found_and_named(whole: Damaged, name: str) -> None:
    kind, plant, named = DAMAGES[name]
    plant(whole)
    backup = whole.backups[kind]
    addon = backup.partition("/backups/")[0]
    drill = whole.drill(addon, backup)
    assert drill.get("verdict") == "failed", whole.told(drill, addon)
    failed = [f["found"] for f in drill["findings"] if f["verdict"] == "failed"]
    assert any(named in found for found in failed), failed


@pytest.mark.parametrize("kind", ["dump", "text", "snapshot"])
def test_without_damage_it_passes(damaged: Damaged, kind: str) -> None:
    backup = damaged.backups[kind]
    drill = damaged.drill(backup.partition("/backups/")[0], backup)
    assert drill.get("verdict") == "passed", drill
