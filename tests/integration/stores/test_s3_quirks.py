"""Services that differ from AWS: how they differ is found out, and objects fit into their parts."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from fakes.s3_quirks import Quirky, quirky
from holdfast.bootstrap import Parts
from holdfast.catalog import destinations
from holdfast.catalog.schema import Destination
from holdfast.conformance.store import check_store
from holdfast.domain.errors import ObjectTooLarge
from holdfast.kit.seal import Secret
from holdfast.settings import Settings
from holdfast.stores.registry import open_store, settle
from holdfast.stores.s3 import buffers, parts
from holdfast.stores.s3.driver import S3Store
from holdfast.stores.s3.options import Options
from holdfast.stores.s3.parts import MIB, PartPlan

PLAIN = {"addressing": "auto", "checksum": "none", "max_parts": 10_000, "equal_parts": False}


def found(service: Quirky, *given: str, **options: Any) -> dict[str, object]:
    return {**settle("s3", service.options(**options), given)}


@pytest.mark.parametrize(
    ("quirks", "differs"),
    [
        ((), {}),
        (("few",), {"max_parts": 1000}),
        (("late",), {"max_parts": 1000}),
        (("equal",), {"equal_parts": True}),
        (("plain", "few", "equal"), {"max_parts": 1000, "equal_parts": True}),
        (("md5",), {"checksum": "md5"}),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, tuple) else "",
)
def test_what_a_service_needs_is_found_out(
    quirks: tuple[str, ...], differs: dict[str, object]
) -> None:
    with quirky(*quirks) as service:
        settings = found(service)
        assert settings == {**PLAIN, **differs}
        assert (service.objects, service.uploads) == ({}, {}), "nothing is left behind"
        assert len(service.requests) <= 24
        store = open_store("s3", service.options(**{**settings, "equal_parts": False}))
        assert check_store(store, "scratch/").broken is None


def test_what_somebody_said_is_not_asked(tmp_path: Path) -> None:
    with quirky("few") as service:
        settings = found(service, "max_parts", "equal_parts", max_parts=500, equal_parts=True)
        assert settings.keys() == {"addressing", "checksum"}


def test_a_service_that_refuses_everything_is_left_to_the_law_of_stores() -> None:
    with quirky("plain") as service:
        assert found(service, "checksum", checksum="crc32") == {}


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything a hundredth as large: parts from 80 KiB, 1.3 MiB of them in memory."""
    for name in (
        "FIRST_PART_BYTES",
        "MAX_PART_BYTES",
        "IN_MEMORY_BYTES",
        "MEMORY_BYTES",
        "MAX_OBJECT_BYTES",
    ):
        monkeypatch.setattr(parts, name, getattr(parts, name) // 100)
    monkeypatch.setattr(buffers, "_SPILL_BYTES", 256 << 10)


def put(store: S3Store, size: int) -> bytes:
    body = bytes(range(256)) * (size // 256)
    upload = store.begin("dumps/big")
    for start in range(0, len(body), MIB):
        upload.write(body[start : start + MIB])
    assert upload.commit().size == len(body)
    return body


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("mode", ["none", "md5", "crc32", "sha256"])
def test_parts_larger_than_memory_allows_arrive_whole(tmp_path: Path, mode: str) -> None:
    with quirky() as service:
        spool = tmp_path / "spool"
        options = service.options(max_parts=100, checksum=mode, spool=spool)
        store = S3Store(Options.model_validate(options))
        body = put(store, 24 * MIB)
        assert b"".join(store.get("dumps/big")) == body
        assert service.most > parts.IN_MEMORY_BYTES
        assert list(spool.iterdir()) == [], "nothing of it has a name"


@pytest.mark.usefixtures("small")
def test_without_room_for_large_parts_there_are_more_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=0))
    with quirky() as service:
        options = service.options(max_parts=100, spool=tmp_path / "spool")
        store = S3Store(Options.model_validate(options))
        body = put(store, 24 * MIB)
        assert b"".join(store.get("dumps/big")) == body
        assert service.most <= parts.IN_MEMORY_BYTES
        assert not (tmp_path / "spool").exists()
        upload = store.begin("dumps/larger")
        with pytest.raises(ObjectTooLarge, match="has not the room to keep larger ones"):
            upload.write(bytes(200 * MIB))
        upload.abort()


@pytest.mark.usefixtures("small")
def test_a_service_that_wants_parts_of_one_size_gets_them(tmp_path: Path) -> None:
    with quirky("equal") as service:
        options = service.options(max_parts=10_000, equal_parts=True, spool=tmp_path)
        store = S3Store(Options.model_validate(options))
        body = put(store, 24 * MIB)
        assert b"".join(store.get("dumps/big")) == body


def test_r2_is_known_by_its_name() -> None:
    for endpoint, wanted in (("a.r2.cloudflarestorage.com", True), ("s3.example.com", False)):
        options = Quirky(frozenset()).options(endpoint=endpoint)
        assert Options.model_validate(options).wants_equal_parts is wanted
        assert not Options.model_validate({**options, "equal_parts": False}).wants_equal_parts


def test_a_destination_from_before_is_asked_once(tmp_path: Path) -> None:
    made = Parts(Settings(data_dir=tmp_path, queue="table"))
    with quirky("few", "equal") as service:
        public = {k: v for k, v in service.options().items() if k not in ("secret_key", "attempts")}
        with made.catalog.write() as session:
            sealed = made.sealer.seal(Secret("s" * 40), destinations.context("old"))
            row = Destination(
                id="old", name="Old", kind="s3", prefix="", options=public, sealed_secret=sealed,
                created=1, updated=1,
            )  # fmt: skip
            session.add(row)
            session.flush()
            pk = row.pk
        store = made.store(pk)
        with made.catalog.read() as session:
            options = destinations.get(session, pk).options
        assert (options["max_parts"], options["equal_parts"]) == (1000, True)
        assert store.max_object_bytes == PartPlan(1000, equal=True).max_object_bytes
        asked = len(service.requests)
        made.store(pk)
        assert len(service.requests) == asked


def test_a_deletion_that_left_delete_markers_is_known() -> None:
    with quirky("versions") as service:
        store = S3Store(Options.model_validate(service.options()))
        store.begin("a").commit()
        assert not store.hides_versions
        store.clear("a")
        assert store.hides_versions
