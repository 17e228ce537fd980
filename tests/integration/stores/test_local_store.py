"""The directory store on a real file system: private, durable in order, clean when full."""

import errno
import os
import stat
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast.domain.errors import (
    DestinationFull,
    ObjectMissing,
    ObjectTooLarge,
    StoreRefused,
    StoreUnavailable,
)
from holdfast.stores.local.driver import LocalStore
from holdfast.stores.local.options import Options

MIB = 1 << 20


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def store(root: Path) -> LocalStore:
    return LocalStore(Options(directory=root))


def put(store: LocalStore, key: str, data: bytes = b"x") -> None:
    upload = store.begin(key)
    upload.write(data)
    upload.commit()


def files(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


def test_nobody_else_may_read(store: LocalStore, root: Path) -> None:
    old = os.umask(0)
    try:
        put(store, "a/b/key")
        unfinished = store.begin("a/other")
    finally:
        os.umask(old)

    for path in [root, *root.rglob("*")]:
        mode = stat.S_IMODE(path.lstat().st_mode)
        assert mode == (0o700 if path.is_dir() else 0o600), path
    unfinished.abort()


def test_an_object_lies_at_its_key(store: LocalStore, root: Path) -> None:
    put(store, "dumps/one/manifest.json", b"{}")

    assert files(root) == ["dumps/one/manifest.json"]


def test_empty_directories_do_not_pile_up(store: LocalStore, root: Path) -> None:
    put(store, "a/b/c/key")
    store.begin("a/d/e").abort()
    store.delete("a/b/c/key")

    assert list(root.rglob("*")) in ([], [root / ".partial"])


def test_a_name_is_durable_before_it_is_there(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def watched_fsync(file: int) -> None:
        order.append("fsync dir" if stat.S_ISDIR(os.fstat(file).st_mode) else "fsync file")
        fsync(file)

    def watched_replace(self: Path, target: Path) -> Path:
        order.append("rename")
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", watched_fsync)
    monkeypatch.setattr(Path, "replace", watched_replace)
    put(store, "a/key")

    assert order == ["fsync file", "rename", "fsync dir", "fsync dir"]


def test_a_dead_processs_leftovers_are_invisible_and_found_again(
    store: LocalStore, root: Path
) -> None:
    store.begin("dumps/one/a").write(b"half")
    store.begin("dumps/two/a").write(b"half")
    again = LocalStore(Options(directory=root))

    assert list(again.list("")) == []
    assert again.clear("dumps/one/") == 1
    assert [name.split("~")[0] for name in files(root)] == [".partial/dumps/two/a"]


def test_a_removed_upload_cannot_be_committed(store: LocalStore) -> None:
    upload = store.begin("dumps/key")
    upload.write(b"x")
    store.clear("dumps/")

    with pytest.raises(StoreRefused, match="removed"):
        upload.commit()
    upload.abort()
    with pytest.raises(ObjectMissing):
        store.stat("dumps/key")


def test_a_key_below_or_above_another_object_is_refused(store: LocalStore) -> None:
    put(store, "a/b")

    with pytest.raises(StoreRefused):
        store.begin("a")
    upload = store.begin("a/b/c")
    with pytest.raises(StoreRefused):
        upload.commit()
    upload.abort()
    with pytest.raises(ObjectMissing):
        store.stat("a/b/c")
    with pytest.raises(ObjectMissing):
        store.stat("a")
    assert [each.key for each in store.list("")] == ["a/b"]


@pytest.mark.parametrize("key", [".partial/x", "a/../../x", "../x", "/etc/passwd"])
def test_no_key_leaves_the_directory(store: LocalStore, key: str) -> None:
    with pytest.raises(ValueError):
        store.begin(key)
    with pytest.raises(ValueError):
        next(store.get(key))


def test_a_symlink_at_a_key_is_no_object(store: LocalStore, root: Path, tmp_path: Path) -> None:
    (tmp_path / "outside").write_text("secret")
    put(store, "real")
    (root / "link").symlink_to(tmp_path / "outside")

    with pytest.raises(ObjectMissing):
        store.stat("link")
    assert [each.key for each in store.list("")] == ["real"]


def test_the_stated_size_is_the_limit(root: Path) -> None:
    store = LocalStore(Options(directory=root, max_object_bytes=10))
    upload = store.begin("key")
    upload.write(bytes(10))

    with pytest.raises(ObjectTooLarge):
        upload.write(b"x")
    upload.abort()
    assert files(root) == []


def test_uploads_and_deletes_beside_each_other_do_not_trip(store: LocalStore) -> None:
    problems: list[BaseException] = []

    def work(name: str) -> None:
        try:
            for _ in range(60):
                put(store, f"same/dir/{name}")
                store.begin(f"same/dir/{name}").abort()
                store.delete(f"same/dir/{name}")
        except BaseException as problem:  # noqa: BLE001 - told to the test
            problems.append(problem)

    threads = [threading.Thread(target=work, args=(f"n{number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert problems == []


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 4 MiB; needs root, as a full disk cannot be had otherwise."""
    place = tmp_path / "disk"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(place)], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small disk")
def test_a_full_disk_is_a_full_destination_and_nothing_stays(small_disk: Path) -> None:
    store = LocalStore(Options(directory=small_disk / "store"))
    put(store, "kept", bytes(MIB))
    upload = store.begin("dumps/key")

    with pytest.raises(DestinationFull, match="No space left"):
        upload.write(bytes(5 * MIB))
    upload.abort()

    assert files(small_disk) == ["store/kept"]
    put(store, "dumps/smaller", bytes(2 * MIB))


@pytest.mark.parametrize(
    ("number", "failure"),
    [
        (errno.ENOSPC, DestinationFull),
        (errno.EDQUOT, DestinationFull),
        (errno.EFBIG, ObjectTooLarge),
        (errno.EROFS, StoreRefused),
        (errno.EIO, StoreUnavailable),
    ],
)
def test_what_the_system_says_has_a_name(
    store: LocalStore,
    root: Path,
    monkeypatch: pytest.MonkeyPatch,
    number: int,
    failure: type[Exception],
) -> None:
    def write(file: int, data: memoryview) -> int:
        raise OSError(number, os.strerror(number))

    upload = store.begin("key")
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", write)
        with pytest.raises(failure, match="writing key"):
            upload.write(b"x")
    upload.abort()
    assert files(root) == []
