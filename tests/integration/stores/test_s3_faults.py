"""What goes wrong between us and an S3 service, each met by the failure that says what to do."""

from collections.abc import Iterator

import pytest

from fakes.s3_proxy import Fault, Proxy, proxy_to
from fixtures.s3 import S3Server
from holdfast.conformance.store import check_store
from holdfast.domain.errors import (
    DestinationFull,
    ObjectMissing,
    StoreRefused,
    StoreUnavailable,
)
from holdfast.kit.backoff import Backoff
from holdfast.stores.s3.driver import S3Store
from holdfast.stores.s3.options import Options

QUICK = Backoff(attempts=4, first=0.01, longest=0.02)
MIB = 1 << 20
DATA = bytes(range(256)) * (80 * MIB // 1024)  # 20 MiB: three parts


@pytest.fixture
def proxy(s3_server: S3Server) -> Iterator[Proxy]:
    with proxy_to(s3_server.endpoint) as proxy:
        yield proxy


@pytest.fixture
def bucket(s3_server: S3Server) -> str:
    return s3_server.bucket()


@pytest.fixture
def direct(s3_server: S3Server, bucket: str) -> S3Store:
    return S3Store(Options.model_validate(s3_server.options(bucket)), QUICK)


@pytest.fixture
def store(s3_server: S3Server, bucket: str, proxy: Proxy) -> S3Store:
    options = s3_server.options(bucket, endpoint=proxy.endpoint)
    return S3Store(Options.model_validate(options), QUICK)


def put(store: S3Store, key: str, data: bytes) -> None:
    upload = store.begin(key)
    try:
        upload.write(data)
        upload.commit()
    except BaseException:
        upload.abort()
        raise


def test_the_proxy_itself_is_harmless(store: S3Store) -> None:
    assert check_store(store, "scratch/").clean


def test_a_part_that_meets_an_overloaded_service_is_sent_again(
    store: S3Store, direct: S3Store, proxy: Proxy
) -> None:
    proxy.faults = [
        Fault("PUT .*partNumber=2", "SlowDown", times=2),
        Fault("PUT .*partNumber=1", "drop"),
        Fault("POST .*uploads", "SlowDown"),
        Fault("POST .*uploadId", "SlowDown"),
    ]

    put(store, "key", DATA)

    assert proxy.unused() == []
    assert b"".join(direct.get("key")) == DATA


def test_an_overloaded_service_is_given_up_after_a_bounded_number_of_attempts(
    store: S3Store, direct: S3Store, proxy: Proxy
) -> None:
    proxy.faults = [Fault("PUT .*partNumber=2", "SlowDown", times=1000)]

    with pytest.raises(StoreUnavailable, match="part 2 of key: SlowDown"):
        put(store, "key", DATA)

    assert sum("partNumber=2" in request for request in proxy.seen) == QUICK.attempts
    assert direct.clear("key") == 0


@pytest.mark.parametrize(
    ("code", "failure"),
    [
        ("AccessDenied", StoreRefused),
        ("QuotaExceeded", DestinationFull),
        ("InsufficientStorage", DestinationFull),
    ],
)
@pytest.mark.parametrize("where", ["POST .*uploads", "PUT .*partNumber=2", "POST .*uploadId"])
def test_a_refusal_mid_upload_is_not_repeated_and_leaves_nothing(
    store: S3Store, direct: S3Store, proxy: Proxy, where: str, code: str, failure: type[Exception]
) -> None:
    proxy.faults = [Fault(where, code)]

    with pytest.raises(failure, match=code):
        put(store, "key", DATA)

    assert proxy.unused() == []
    with pytest.raises(ObjectMissing):
        direct.stat("key")
    assert direct.clear("key") == 0


def test_a_service_that_goes_away_mid_upload_is_unavailable_and_cleaned_later(
    store: S3Store, direct: S3Store, proxy: Proxy
) -> None:
    upload = store.begin("dead/key")
    upload.write(DATA)
    proxy.faults = [Fault(".", "drop", times=100_000)]

    with pytest.raises(StoreUnavailable, match="no answer"):
        upload.commit()
    upload.abort()

    assert direct.clear("dead/") == 1
    assert direct.clear("dead/") == 0


def test_a_completion_whose_answer_was_lost_still_counts(
    store: S3Store, direct: S3Store, proxy: Proxy
) -> None:
    proxy.faults = [Fault("POST .*uploadId", "lose")]

    put(store, "key", DATA)

    assert proxy.unused() == []
    assert b"".join(direct.get("key")) == DATA


def test_an_upload_removed_by_somebody_else_cannot_be_completed(
    store: S3Store, direct: S3Store
) -> None:
    upload = store.begin("key")
    upload.write(DATA)
    direct.delete("key")

    with pytest.raises(ObjectMissing, match="NoSuchUpload"):
        upload.commit()
    upload.abort()


def test_bytes_damaged_on_the_way_are_refused(
    store: S3Store, direct: S3Store, proxy: Proxy
) -> None:
    proxy.faults = [Fault("PUT .*partNumber=2", "corrupt")]

    with pytest.raises(StoreRefused):
        put(store, "key", DATA)

    assert direct.clear("key") == 0


def test_a_download_that_breaks_goes_on_where_it_was(
    store: S3Store, direct: S3Store, proxy: Proxy
) -> None:
    put(direct, "key", DATA)
    proxy.faults = [Fault("GET .*key", "cut", times=3), Fault("GET .*key", "SlowDown")]

    assert b"".join(store.get("key", 5)) == DATA[5:]

    assert proxy.unused() == []
    assert sum(request.startswith("GET") for request in proxy.seen) == 5


def test_a_download_without_any_progress_is_given_up(
    store: S3Store, direct: S3Store, proxy: Proxy
) -> None:
    put(direct, "key", b"x")
    proxy.faults = [Fault("GET .*key", "cut", times=1000)]  # half of one byte is none

    with pytest.raises(StoreUnavailable, match="reading key"):
        list(store.get("key"))

    assert len(proxy.seen) == QUICK.attempts


def test_an_object_replaced_during_a_download_is_noticed(
    store: S3Store, direct: S3Store, proxy: Proxy
) -> None:
    put(direct, "key", DATA)
    proxy.faults = [Fault("GET .*key", "cut")]
    chunks = store.get("key")
    next(chunks)
    put(direct, "key", DATA[::-1])

    with pytest.raises(StoreRefused, match="changed while it was read"):
        list(chunks)


def test_a_service_that_is_not_there_is_unavailable(s3_server: S3Server) -> None:
    options = s3_server.options("bucket", endpoint="http://127.0.0.1:9")  # discard: nobody listens
    store = S3Store(Options.model_validate(options), QUICK)

    report = check_store(store, "scratch/")

    assert report.broken is not None
    assert report.broken.name == "write"
    assert "no answer (EndpointConnectionError)" in report.broken.detail


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"secret_key": "wrong-secret-key"}, "the secret key is wrong"),
        ({"access_key": "wrong-access-key"}, "the access key is not known there"),
        ({"bucket_name": "no-such-bucket"}, "the bucket does not exist"),
    ],
)
def test_wrong_settings_are_refused_with_the_reason(
    s3_server: S3Server, bucket: str, wrong: dict[str, str], sentence: str
) -> None:
    options = {**s3_server.options(bucket), **wrong}

    report = check_store(S3Store(Options.model_validate(options), QUICK), "scratch/")

    assert report.broken is not None
    assert report.broken.name == "write"
    assert sentence in report.broken.detail
    for secret in (options["secret_key"], options["access_key"]):
        assert str(secret) not in report.broken.detail


def test_unfinished_uploads_are_listed_through_an_overloaded_service(
    store: S3Store, direct: S3Store, proxy: Proxy
) -> None:
    upload = direct.begin("dead/key")
    upload.write(DATA)
    proxy.faults = [Fault("GET .*uploads", "SlowDown", times=2), Fault("GET .*uploads", "drop")]

    (found,) = store.list("dead/", unfinished=True)

    assert proxy.unused() == []
    assert (found.key, found.size) == ("dead/key", 0)
    assert found.modified > 1_600_000_000_000
    assert list(store.list("dead/")) == []
    upload.abort()


@pytest.mark.parametrize(
    ("code", "failure"), [("AccessDenied", StoreRefused), ("drop", StoreUnavailable)]
)
def test_a_service_that_does_not_list_unfinished_uploads_is_no_empty_one(
    store: S3Store, proxy: Proxy, code: str, failure: type[Exception]
) -> None:
    proxy.faults = [Fault("GET .*uploads", code, times=100)]
    with pytest.raises(failure, match="listing unfinished uploads"):
        list(store.list("dumps/", unfinished=True))
