"""The stock `restic` judges: what is written here is sound there, and the other way round."""

import os
import socket
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from fixtures.s3 import S3Server
from holdfast.contracts.store import ObjectStore
from holdfast.domain.errors import NotSupported
from holdfast.kit.seal import Secret
from holdfast.repositories.restic.locks import exclusively, shared
from holdfast.repositories.restic.read.materialise import materialise
from holdfast.repositories.restic.read.reading import prove
from holdfast.repositories.restic.read.tar import tar
from holdfast.repositories.restic.repository import (
    KeyBackup,
    Repository,
    Snapshot,
    ensure_repository,
    open_repository,
    restore_keys,
)
from holdfast.repositories.restic.upkeep.mending import mend
from holdfast.repositories.restic.upkeep.pruning import prune
from holdfast.repositories.restic.write.copying import send
from holdfast.repositories.restic.write.cutting import FixedCutter
from holdfast.repositories.restic.write.writing import SnapshotWriter
from holdfast.stores.local.driver import LocalStore
from holdfast.stores.local.options import Options as LocalOptions
from holdfast.stores.s3.driver import S3Store
from holdfast.stores.s3.options import Options as S3Options

PREFIX = "snapshots/p/a/"
PASSWORD = "correct horse"
NOW = 1_790_000_000_123_456_789
NAMES = [
    b"plain",
    b'quote"d',
    b"a\\b",
    b"\\f\\u0041",
    b"line\nfeed",
    b"\x01\x08\x0c\x7f",
    b"\xff\xfebroken",
    b"\xe2\x82 cut",
    "ünï <&>".encode(),
    "\u2028\u00ad\u200b".encode(),
    "\U0001f600".encode(),
    b"n" * 255,
]


@dataclass
class SharedRepository:
    """A repository, and how we and the stock tool get at it."""

    store: ObjectStore
    url: str
    home: Path
    env: dict[str, str] = field(default_factory=dict[str, str])

    def restic(self, *words: str, ok: bool = True, **env: str) -> str:
        done = subprocess.run(
            ["restic", "--no-cache", "-o", "s3.bucket-lookup=path", *words],
            env={
                **os.environ,
                "RESTIC_REPOSITORY": self.url,
                "RESTIC_PASSWORD": PASSWORD,
                "HOME": str(self.home),
                "TMPDIR": str(self.home),
                **self.env,
                **env,
            },
            capture_output=True,
            timeout=120,
            check=False,
        )
        said = done.stdout.decode(errors="replace") + done.stderr.decode(errors="replace")
        assert (done.returncode == 0) == ok, f"restic {words} ended {done.returncode}: {said}"
        return said

    def check(self) -> None:
        said = self.restic("check", "--read-data")
        assert "no errors were found" in said, said

    def make(self) -> Repository:
        return ensure_repository(self.store, PREFIX, Secret(PASSWORD), NOW)

    def open(self) -> Repository:
        return open_repository(self.store, PREFIX, Secret(PASSWORD))


def local(home: Path) -> SharedRepository:
    (home / "store").mkdir(parents=True)
    store = LocalStore(LocalOptions(directory=home / "store"))
    return SharedRepository(store, str(home / "store" / PREFIX), home)


@pytest.fixture
def here(tmp_path: Path) -> SharedRepository:
    return local(tmp_path / "here")


@pytest.fixture(params=["local", pytest.param("s3", marks=pytest.mark.slow)])
def anywhere(request: pytest.FixtureRequest, tmp_path: Path) -> SharedRepository:
    if request.param == "local":
        return local(tmp_path / "here")
    server: S3Server = request.getfixturevalue("s3_server")
    make: Callable[..., dict[str, object]] = request.getfixturevalue("s3_options")
    options = make()
    bucket = options["bucket_name"]
    env = {"AWS_ACCESS_KEY_ID": server.access_key, "AWS_SECRET_ACCESS_KEY": server.secret_key}
    url = f"s3:{server.endpoint}/{bucket}/{PREFIX.rstrip('/')}"
    return SharedRepository(S3Store(S3Options.model_validate(options)), url, tmp_path, env)


def save(repository: Repository, seed: int = 0, changed: int = 0) -> str:
    """A tree with odd names; `changed` blocks of the big file differ from those of others."""
    writer = SnapshotWriter(repository)
    for number, name in enumerate(NAMES):
        file = writer.file(b"data/" + name, 0o640, NOW + number)
        file.write(name * 3)
        file.close()
    for path in (b"empty", b"data/deep/er/file"):
        writer.file(path, 0o4755, NOW).close()
    writer.directory(b"data/hollow", 0o2750, NOW)
    writer.link(b"data/link", b'to <"\\\n> \xc3\xbc', NOW)
    big = writer.file(b"data/big", 0o600, NOW, FixedCutter(8192))
    for number in range(400):
        mine = seed if number < changed else 0
        big.write(f"{mine} {number} ".encode().ljust(8192, b"x"))
    big.close()
    return repository.keep(
        Snapshot(NOW + seed, writer.flush(), "host", ["/postgresql"], [f"holdfast:backup={seed}"])
    )


Seen = dict[bytes, tuple[int, int, bytes]]


def seen(root: Path) -> Seen:
    """Every path below, with its mode, its time in ns and its bytes."""
    found: Seen = {}
    for path in root.rglob("*"):
        status = path.lstat()
        what = b""
        if path.is_symlink():
            what = os.fsencode(path.readlink())
        elif path.is_file():
            what = path.read_bytes()
        found[os.fsencode(path.relative_to(root))] = (status.st_mode, status.st_mtime_ns, what)
    return found


def written(repository: Repository, snapshot: str, target: Path) -> Seen:
    target.mkdir()
    materialise(repository, repository.snapshot(snapshot).tree, target, lambda _: None)
    return seen(target)


def test_what_is_written_here_is_used_there(anywhere: SharedRepository, tmp_path: Path) -> None:
    repository = anywhere.make()
    with shared(repository, NOW):
        first, second = save(repository), save(repository, seed=1, changed=20)
    ours = written(repository, first, tmp_path / "ours")

    anywhere.check()
    assert "2 snapshots" in anywhere.restic("snapshots")
    anywhere.restic("restore", first, "--target", str(tmp_path / "theirs"))
    theirs = seen(tmp_path / "theirs")
    assert theirs == ours
    assert {b"data/" + name for name in NAMES} <= theirs.keys()
    assert anywhere.restic("dump", first, "/data/plain") == "plainplainplain"
    assert "/data/big" in anywhere.restic("diff", first, second)
    assert "plain" in anywhere.restic("find", "--snapshot", first, "plain")


def test_the_stock_tool_tags_forgets_and_prunes_and_we_go_on(
    here: SharedRepository, tmp_path: Path
) -> None:
    repository = here.make()
    first, second = save(repository), save(repository, seed=1, changed=200)
    kept = written(repository, second, tmp_path / "before")

    here.restic("tag", "--add", "mine", second)
    here.restic("forget", first)
    here.restic("prune", "--max-unused", "0")
    again = here.open()
    (left,) = again.snapshots()
    assert (left.original, set(left.tags)) == (second, {"holdfast:backup=1", "mine"})
    assert written(again, left.id, tmp_path / "after") == kept
    save(again, seed=2, changed=3)
    here.check()


def test_what_is_pruned_here_is_sound_there(anywhere: SharedRepository, tmp_path: Path) -> None:
    repository = anywhere.make()
    first, second = save(repository, seed=5, changed=300), save(repository, seed=1, changed=20)
    kept = written(repository, second, tmp_path / "before")
    repository.forget(first)
    with exclusively(repository, NOW):
        pruned = prune(repository, lambda _: None)

    assert pruned.packs > 0
    assert pruned.repacked > 0
    anywhere.check()
    again = anywhere.open()
    assert written(again, second, tmp_path / "after") == kept
    assert prune(again, lambda _: None).packs == 0
    assert "0 B" in anywhere.restic("prune", "--dry-run", "--max-unused", "0")


def test_a_copy_is_whole_and_the_stock_tool_copies_too(
    here: SharedRepository, tmp_path: Path
) -> None:
    other, third = local(tmp_path / "other"), local(tmp_path / "third")
    source, target = here.make(), other.make()
    snapshot = source.snapshot(save(source))
    sent = send(source, snapshot.tree, target, lambda _: None)
    copied = target.keep(snapshot.as_copy())

    assert sent.added > 0
    assert send(source, snapshot.tree, target, lambda _: None).added == 0
    other.check()
    ours = written(source, snapshot.id, tmp_path / "a")
    assert written(target, copied, tmp_path / "b") == ours
    third.restic("init", "--repository-version", "2")
    other.restic("copy", "--repo2", third.url, "--password-command2", f"echo {PASSWORD}", copied)
    (theirs,) = third.open().snapshots()
    assert theirs.original == snapshot.id
    assert written(third.open(), theirs.id, tmp_path / "c") == ours
    assert theirs.tree == snapshot.tree


def foreign(root: Path) -> None:
    """Files as a stranger might have them."""
    for number, name in enumerate(NAMES):
        (root / os.fsdecode(name)).write_bytes(name * number)
    (root / "empty dir").mkdir(mode=0o1770)
    (root / "deep" / "er").mkdir(parents=True)
    (root / "deep" / "er" / "none").touch(mode=0o600)
    (root / "big").write_bytes(os.urandom(3 << 20) + bytes(3 << 20))
    (root / "link").symlink_to('to <"\\\n> ü')
    os.utime(root / "big", ns=(1, 1_000_000_001))


def test_what_is_written_there_is_used_here(anywhere: SharedRepository, tmp_path: Path) -> None:
    source, other = tmp_path / "source", local(tmp_path / "other")
    source.mkdir()
    foreign(source)
    anywhere.restic("init", "--repository-version", "2")
    anywhere.restic("backup", str(source))
    (source / "big").write_bytes(os.urandom(2 << 20))
    anywhere.restic("backup", "--compression", "off", str(source))
    repository = anywhere.open()
    old, new = repository.snapshots()
    below = os.fsencode(source).lstrip(b"/") + b"/"
    expected = {below + path: what for path, what in seen(source).items()}

    found = written(repository, new.id, tmp_path / "out")
    assert {path: what for path, what in found.items() if path.startswith(below)} == expected
    assert prove(repository, new.tree).files == len(NAMES) + 2
    target = other.make()
    send(repository, new.tree, target, lambda _: None)
    target.keep(new.as_copy())
    other.check()
    repository.forget(old.id)
    with exclusively(repository, NOW):
        assert prune(repository, lambda _: None).packs > 0
    anywhere.check()
    assert written(repository, new.id, tmp_path / "again") == found


def test_a_repository_of_version_1_is_read_and_not_written(
    here: SharedRepository, tmp_path: Path
) -> None:
    source = tmp_path / "source"
    source.mkdir()
    foreign(source)
    here.restic("init", "--repository-version", "1")
    here.restic("backup", str(source))
    repository = here.open()

    (snapshot,) = repository.snapshots()
    assert written(repository, snapshot.id, tmp_path / "out")
    with pytest.raises(NotSupported, match="version 1"):
        here.make()
    with pytest.raises(NotSupported, match="version 1"):
        prune(repository, lambda _: None)
    here.restic("migrate", "upgrade_repo_v2")
    moved = here.make()
    save(moved)
    moved.forget(snapshot.id)
    prune(moved, lambda _: None)
    here.check()


def test_what_cannot_be_made_here_is_refused_by_name(
    here: SharedRepository, tmp_path: Path
) -> None:
    source = tmp_path / "source"
    source.mkdir()
    os.mkfifo(source / "a pipe")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.relpath(source / "socket"))
        here.restic("init", "--repository-version", "2")
        here.restic("backup", str(source))
    repository = here.open()
    (snapshot,) = repository.snapshots()

    with pytest.raises(NotSupported, match="a pipe is a fifo"):
        written(repository, snapshot.id, tmp_path / "out")
    with pytest.raises(NotSupported, match="a pipe is a fifo"):
        list(tar(repository, snapshot.tree))
    prove(repository, snapshot.tree)
    save(repository)
    prune(repository, lambda _: None)
    here.check()


def test_extended_attributes_are_reproduced(here: SharedRepository, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "file").touch()
    os.setxattr(source / "file", "user.note", b"a\0b")
    here.restic("init", "--repository-version", "2")
    here.restic("backup", str(source))
    repository = here.open()
    (snapshot,) = repository.snapshots()
    (tmp_path / "out").mkdir()
    materialise(repository, snapshot.tree, tmp_path / "out", lambda _: None)

    file = tmp_path / "out" / str(source).lstrip("/") / "file"
    assert os.getxattr(file, "user.note") == b"a\0b"


def test_the_same_bytes_as_file_and_as_directory_are_two_blobs(here: SharedRepository) -> None:
    repository = here.make()
    one = SnapshotWriter(repository)
    one.directory(b"hollow", 0o700, NOW)
    one.flush()
    writer = SnapshotWriter(repository)
    writer.directory(b"hollow", 0o700, NOW)
    file = writer.file(b"tree", 0o600, NOW)
    file.write(b'{"nodes":[]}\n')
    file.close()
    name = repository.keep(Snapshot(NOW, writer.flush(), "host", ["/"], []))
    prune(repository, lambda _: None)

    here.check()
    assert here.restic("dump", name, "/tree") == '{"nodes":[]}\n'


def test_the_stock_tool_respects_our_locks(here: SharedRepository) -> None:
    now = time.time_ns()
    repository = here.make()
    save(repository)
    with shared(repository, now):
        assert "already locked" in here.restic("prune", ok=False)
    with exclusively(repository, now):
        assert "already locked" in here.restic("snapshots", ok=False)
    assert list(repository.objects.names("locks")) == []
    here.restic("prune")


@pytest.mark.parametrize("kind", ["index", "keys", "config"])
def test_the_stock_tool_opens_what_was_put_right(here: SharedRepository, kind: str) -> None:
    """With a damaged object it does not; with a foreign file beside it does all along."""
    repository = here.make()
    save(repository, 1)
    kept = KeyBackup(repository.key, repository.config)
    root = here.home / "store" / PREFIX
    victim = root / "config" if kind == "config" else next((root / kind).iterdir())
    body = bytearray(victim.read_bytes())
    body[len(body) // 2] ^= 1
    victim.chmod(0o600)
    victim.write_bytes(body)
    (root / "index" / "notes.txt").write_text("not ours")
    here.restic("check", "--read-data", ok=False)

    opened = open_repository(here.store, PREFIX, Secret(PASSWORD), kept)
    for snapshot in opened.snapshots():
        prove(opened, snapshot.tree)
    restore_keys(opened, Secret(PASSWORD), NOW)
    if kind == "index":
        mend(opened, [], lambda _: None)
    here.check()
    assert len(here.open().snapshots()) == 1
    assert (root / "damaged").exists() == (kind != "config")
