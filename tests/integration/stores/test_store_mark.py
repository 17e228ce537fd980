"""A local store whose mount is missing is not made anew on the disk below it."""

import shutil
from pathlib import Path

import pytest

from holdfast.bootstrap import Parts
from holdfast.catalog.schema import Addon, Backup, Copy, Project
from holdfast.contracts.store import ObjectStore
from holdfast.domain.errors import StoreUnavailable
from holdfast.settings import Settings
from holdfast.stores.local.marking import MARK_FILE


@pytest.fixture
def parts(tmp_path: Path) -> Parts:
    return Parts(Settings(data_dir=tmp_path / "data", queue="table"))


def put(store: ObjectStore, key: str = "dumps/a") -> None:
    upload = store.begin(key)
    upload.write(b"x")
    upload.commit()


def directory(parts: Parts) -> Path:
    return parts.settings.data_dir / "store"


def again(parts: Parts) -> Parts:
    """Another process."""
    return Parts(parts.settings)


def know_a_backup(parts: Parts) -> None:
    with parts.catalog.write() as session:
        session.add(Project(pk=1, id="p", name="P", created=1, updated=1))
        session.flush()
        session.add(
            Addon(
                pk=1, uid="u", project_pk=1, id="a", name="A", kind="sqlite", version="3",
                managed=False, desired="running", status="running", host="", port=0, user="",
                database="", options={}, sealed_password="", tags=[], spec={}, created=1, updated=1,
            )
        )  # fmt: skip
        session.flush()
        session.add(
            Backup(
                pk=1, uid="b", addon_pk=1, id="b", name="b", type="dump", source="x", size=1,
                status="completed", version="3", retained=False, created=1,
            )
        )  # fmt: skip
        session.flush()
        session.add(
            Copy(
                backup_pk=1, addon_pk=1, additional=False, status="completed", size=1,
                objects="dumps/p/a/b/1/", created=1,
            )
        )  # fmt: skip


def test_a_store_without_its_mount_is_unavailable_and_left_alone(parts: Parts) -> None:
    store = parts.store(None)
    put(store)
    away = directory(parts).with_name("away")
    directory(parts).rename(away)
    for mounted_on in (None, directory(parts)):
        if mounted_on is not None:
            mounted_on.mkdir()
        for found in (store, again(parts).store(None)):
            with pytest.raises(StoreUnavailable, match="is it mounted"):
                put(found)
            for ask in (found.stat, found.delete, found.clear):
                with pytest.raises(StoreUnavailable, match="is it mounted"):
                    ask("dumps/a")
            with pytest.raises(StoreUnavailable, match="is it mounted"):
                list(found.list(""))
    assert list(directory(parts).iterdir()) == []
    directory(parts).rmdir()
    away.rename(directory(parts))
    assert [stat.key for stat in store.list("")] == ["dumps/a"]


def test_what_was_begun_before_the_mount_went_is_not_committed_after(parts: Parts) -> None:
    store = parts.store(None)
    upload = store.begin("dumps/a")
    upload.write(b"x")
    directory(parts).rename(directory(parts).with_name("away"))
    with pytest.raises(StoreUnavailable):
        upload.commit()
    upload.abort()


def test_another_store_in_its_place_is_not_it(parts: Parts) -> None:
    put(parts.store(None))
    (directory(parts) / MARK_FILE).write_text("somebody else\n")
    with pytest.raises(StoreUnavailable, match="is another store"):
        list(again(parts).store(None).list(""))


def test_a_store_that_was_there_before_marks_were_is_taken_over(parts: Parts) -> None:
    key = directory(parts) / "dumps" / "p" / "a" / "b" / "1" / "main.gz"
    key.parent.mkdir(parents=True)
    key.write_bytes(b"x")
    know_a_backup(parts)
    assert [stat.key for stat in parts.store(None).list("")] == ["dumps/p/a/b/1/main.gz"]
    assert (directory(parts) / MARK_FILE).exists()


def test_an_empty_directory_that_should_hold_backups_is_not_taken_over(parts: Parts) -> None:
    know_a_backup(parts)
    for mounted_on in (None, directory(parts)):
        if mounted_on is not None:
            mounted_on.mkdir()
        with pytest.raises(StoreUnavailable, match="is empty, but backups are kept in it"):
            parts.store(None)
    assert list(directory(parts).iterdir()) == []


def test_the_store_of_a_lost_installation_keeps_its_mark(parts: Parts, tmp_path: Path) -> None:
    put(parts.store(None))
    mark = (directory(parts) / MARK_FILE).read_text()
    other = Parts(Settings(data_dir=tmp_path / "other", queue="table"))
    shutil.copytree(directory(parts), directory(other))
    assert [stat.key for stat in other.store(None).list("")] == ["dumps/a"]
    assert (directory(other) / MARK_FILE).read_text() == mark
