"""Whether a bucket can be written is found out without leaving anything there."""

import pytest

from fixtures.in_process_installation import InProcessInstallation as Installation
from fixtures.s3 import S3Server
from fixtures.timetables import MINUTE
from holdfast.catalog.alarms import observations
from holdfast.contracts.store import WriteTriable
from holdfast.daemons.alarms.observer import StoreObserver, store_name
from holdfast.domain.errors import StoreRefused
from holdfast.kit.clock import SystemClock
from holdfast.stores.measured import MeasuredStore, Meter
from holdfast.stores.registry import open_store


def test_a_bucket_that_became_read_only(s3_server: S3Server) -> None:
    bucket, client = s3_server.bucket(), s3_server.client
    client.put_bucket_versioning(  # type: ignore[attr-defined]
        Bucket=bucket, VersioningConfiguration={"Status": "Enabled"}
    )
    store = open_store("s3", s3_server.options(bucket))
    tried = MeasuredStore(store, Meter("tried", SystemClock()))
    assert isinstance(tried, WriteTriable)
    tried.try_write("readiness/node")
    s3_server.refuse_writes(bucket)
    assert list(tried.list("readiness/")) == [], "it can be listed all the same"
    with pytest.raises(StoreRefused, match="AccessDenied"):
        tried.try_write("readiness/node")
    s3_server.allow_writes(bucket)
    tried.try_write("readiness/node")
    assert list(store.list("", unfinished=True)) == []
    versions = client.list_object_versions(Bucket=bucket)  # type: ignore[attr-defined]
    assert not versions.get("Versions")
    assert not versions.get("DeleteMarkers")


@pytest.mark.sqlite_first
def test_it_is_tried_each_four_minutes(
    installation: Installation,
) -> None:
    far = installation.destination("far")
    tries: list[str] = []

    class Far:
        """A bucket that can be listed; `refused` says that it cannot be written."""

        refused = False
        near, max_object_bytes = False, 1

        def list(self, prefix: str, *, unfinished: bool = False) -> object:
            return iter(())

        def try_write(self, key: str) -> None:
            tries.append(key)
            if self.refused:
                raise StoreRefused("beginning it: AccessDenied (HTTP 403)")

    bucket = Far()
    installation.stores[far] = bucket  # type: ignore[assignment]
    observer = StoreObserver(installation.toolbox, "node")

    def observed() -> str | None:
        observer.observe(far)
        with installation.catalog.read() as session:
            (seen,) = observations.current(session)
            assert seen.name == store_name(far)
            return seen.problem

    assert observed() is None
    bucket.refused = True
    installation.clock.at += 3 * MINUTE
    assert observed() is None
    assert len(tries) == 1
    installation.clock.at += MINUTE
    assert "AccessDenied" in (observed() or "")
    assert len(tries) == 2
    bucket.refused = False
    installation.clock.at += 3 * MINUTE
    assert "AccessDenied" in (observed() or ""), "what is not tried again is not over"
    installation.clock.at += MINUTE
    assert observed() is None
    assert tries == ["readiness/node"] * 3
