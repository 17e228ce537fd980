"""Checksum modes, addressing styles and part limits on a real service."""

import socket
from typing import Any

import pytest

from fixtures.s3 import S3Server
from holdfast.conformance.store import check_store
from holdfast.domain.errors import ObjectTooLarge
from holdfast.stores.registry import open_store
from holdfast.stores.s3.driver import S3Store
from holdfast.stores.s3.options import Options
from holdfast.stores.s3.parts import PartPlan
from holdfast.stores.s3.upload import S3Upload


@pytest.mark.parametrize("mode", ["none", "md5", "crc32", "sha256"])
def test_every_checksum_mode_works(s3_server: S3Server, mode: str) -> None:
    store = open_store("s3", s3_server.options(s3_server.bucket(), checksum=mode))

    assert check_store(store, "scratch/").broken is None


def test_the_bucket_may_be_in_the_host_name(
    s3_server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket = s3_server.bucket()
    port = s3_server.endpoint.rpartition(":")[2]
    asked: list[str] = []
    lookup = socket.getaddrinfo

    def resolve(host: str, *rest: Any, **more: Any) -> Any:
        asked.append(host)
        return lookup("127.0.0.1" if host.endswith(s3_server.domain) else host, *rest, **more)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    endpoint = f"http://{s3_server.domain}:{port}"
    store = open_store("s3", s3_server.options(bucket, endpoint=endpoint, addressing="virtual"))

    assert check_store(store, "scratch/").broken is None
    assert set(asked) == {f"{bucket}.{s3_server.domain}"}


def test_keys_go_below_the_prefix(s3_server: S3Server) -> None:
    bucket = s3_server.bucket()
    inside = open_store("s3", s3_server.options(bucket, prefix="inside/"))
    whole = open_store("s3", s3_server.options(bucket))
    for store, key in ((inside, "a/key"), (whole, "a/other")):
        upload = store.begin(key)
        upload.write(b"x")
        upload.commit()

    assert [stat.key for stat in whole.list("")] == ["a/other", "inside/a/key"]
    assert [stat.key for stat in inside.list("")] == ["a/key"]
    assert inside.clear("a/") == 1
    assert [stat.key for stat in whole.list("")] == ["a/other"]


def test_a_listing_has_more_than_one_page(s3_server: S3Server) -> None:
    store = open_store("s3", s3_server.options(s3_server.bucket()))
    for number in range(1003):
        store.begin(f"many/{number:04}").commit()

    assert [stat.key for stat in store.list("many/")] == [f"many/{n:04}" for n in range(1003)]


def test_an_object_beyond_the_stated_size_is_refused(
    s3_server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("holdfast.stores.s3.parts.FIRST_PART_BYTES", 5 << 20)
    monkeypatch.setattr("holdfast.stores.s3.parts.MAX_PART_BYTES", 5 << 20)
    store = S3Store(Options.model_validate(s3_server.options(s3_server.bucket())))
    plan = _Short(20)
    upload = S3Upload(store._bucket, "key", plan, "none")
    upload.write(bytes(plan.max_object_bytes))

    with pytest.raises(ObjectTooLarge, match=str(plan.max_object_bytes)):
        upload.write(b"x")
    upload.abort()

    assert store.clear("key") == 0


class _Short(PartPlan):
    """Room for no more than three parts."""

    @property
    def max_object_bytes(self) -> int:
        return 3 * self.size(1)
