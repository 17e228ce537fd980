"""Downloads an object; a request that breaks off is continued by another."""

from collections.abc import Iterator
from typing import Any

from holdfast.domain.errors import StoreRefused
from holdfast.stores.s3.bucket import Bucket
from holdfast.stores.s3.client import Answer
from holdfast.stores.s3.errors import TROUBLE, failure, service_code

CHUNK_BYTES = 1 << 20


def read_object(bucket: Bucket, key: str, start: int, end: int | None) -> Iterator[bytes]:
    """Yields the bytes [start, end) of one version of an object, across broken connections.

    Raises when nothing arrived in as many attempts as the backoff has.
    """
    etag: str | None = None
    delays = bucket.backoff.delays()
    while end is None or start < end:
        answer = _request(bucket, key, start, end, etag)
        if answer is None:
            return
        etag, body = answer["ETag"], answer["Body"]
        stop = start + int(answer["ContentLength"])
        try:
            while chunk := _read(body, bucket, key, delays):
                start += len(chunk)
                delays = bucket.backoff.delays()
                yield chunk
        finally:
            body.close()
        if start >= stop:
            return


def _request(
    bucket: Bucket, key: str, start: int, end: int | None, etag: str | None
) -> Answer | None:
    """Returns None when `start` lies behind the object's end."""
    request: dict[str, object] = {}
    if start > 0 or end is not None:
        request["Range"] = f"bytes={start}-{'' if end is None else end - 1}"
    if etag is not None:
        request["IfMatch"] = etag
    try:
        return bucket.about("reading", key, bucket.client.get_object, **request)
    except StoreRefused as error:
        if service_code(error) in ("InvalidRange", "416"):
            return None
        raise


def _read(body: Any, bucket: Bucket, key: str, delays: Iterator[float]) -> bytes:
    """Reads a chunk: empty at the end, and when the connection broke and may be tried again."""
    try:
        return body.read(CHUNK_BYTES)
    except TROUBLE as error:
        delay = next(delays, None)
        if delay is None:
            raise failure(error, "reading", key) from None
        bucket.backoff.sleep(delay)
        return b""
