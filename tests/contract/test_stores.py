"""Every store obeys the law: a new driver is tested here as soon as it is registered."""

from collections.abc import Callable
from pathlib import Path

import pytest

from holdfast.conformance.store import LARGE, STEPS, check_store
from holdfast.contracts.store import ObjectStore
from holdfast.stores.registry import STORES, open_store
from holdfast.stores.s3.parts import FIRST_PART_BYTES

S3Options = Callable[..., dict[str, object]]


@pytest.fixture(params=sorted(STORES))
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    options: dict[str, Callable[[], dict[str, object]]] = {
        "memory": dict,
        "local": lambda: {"directory": str(tmp_path / "store")},
        "s3": lambda: request.getfixturevalue("s3_options")(prefix="inside/"),
    }
    return open_store(request.param, options[request.param]())


def test_a_store_obeys_the_law(store: ObjectStore) -> None:
    report = check_store(store, "scratch/check/")

    assert report.broken is None
    assert [step.name for step in report.steps] == [name for name, _ in STEPS]
    assert report.clean
    assert list(store.list("")) == []


def test_the_law_sends_several_parts() -> None:
    assert FIRST_PART_BYTES < LARGE


def test_uploads_beside_each_other_do_not_mix(store: ObjectStore) -> None:
    uploads = {f"side/{name}": store.begin(f"side/{name}") for name in "abc"}
    for _ in range(3):
        for key, upload in uploads.items():
            upload.write(key.encode() * 1000)
    for upload in uploads.values():
        upload.commit()

    for key in uploads:
        assert b"".join(store.get(key)) == key.encode() * 3000


def test_a_written_buffer_is_the_callers_again(store: ObjectStore) -> None:
    buffer = bytearray(b"first")
    upload = store.begin("reused")
    upload.write(memoryview(buffer))
    buffer[:] = b"later"
    upload.write(memoryview(buffer))
    upload.commit()

    assert b"".join(store.get("reused")) == b"firstlater"


def test_delete_and_clear_remove_unfinished_uploads(store: ObjectStore) -> None:
    large = bytes(FIRST_PART_BYTES + 1)
    for key in ("dead/one", "dead/two"):
        store.begin(key).write(large)  # its process died here

    store.delete("dead/one")

    assert store.clear("dead/") == 1
    assert store.clear("dead/") == 0


def test_unfinished_uploads_are_listed_in_order_and_apart(store: ObjectStore) -> None:
    began = store.begin("seen/a")
    began.commit()
    uploads = [store.begin(key) for key in ("seen/b/c", "seen/b-c", "seen/a", "unseen/x")]
    for upload in uploads:
        upload.write(bytes(FIRST_PART_BYTES + 1))

    found = list(store.list("seen/", unfinished=True))

    assert [stat.key for stat in found] == ["seen/a", "seen/b-c", "seen/b/c"]
    assert all(stat.modified > 1_600_000_000_000 for stat in found)
    assert [stat.key for stat in store.list("seen/")] == ["seen/a"]
    for upload in uploads:
        upload.abort()
    assert list(store.list("seen/", unfinished=True)) == []


def test_abort_may_be_repeated_and_follows_commit_without_harm(store: ObjectStore) -> None:
    upload = store.begin("kept")
    upload.write(b"good")
    upload.commit()
    upload.abort()
    upload.abort()

    assert b"".join(store.get("kept")) == b"good"


@pytest.mark.parametrize("key", ["", "/abs", "a/../b", "..", "a//b", "a/", "a b", "a;b", "a\n"])
def test_a_bad_key_is_refused_before_anything_is_touched(store: ObjectStore, key: str) -> None:
    with pytest.raises(ValueError):
        store.begin(key)
    with pytest.raises(ValueError):
        store.stat(key)
    with pytest.raises(ValueError):
        store.delete(key)


def test_nothing_clears_a_whole_store(store: ObjectStore) -> None:
    with pytest.raises(ValueError):
        store.clear("")
