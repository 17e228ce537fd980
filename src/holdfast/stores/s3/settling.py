"""Finds out which settings a service needs, by a few cheap requests.

Only what the user did not choose is found out: how the bucket is named in a request, whether the
service wants a checksum, how many parts it allows and whether they must be of one size. Part
numbers need not follow each other, so two tiny parts tell how many are allowed; services that count
only when an upload is completed are asked to complete one whose parts do not exist. Everything is
removed again.
"""

import secrets
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from typing import TypeVar

from holdfast.domain.errors import Failure, ObjectMissing, StoreRefused
from holdfast.kit.backoff import Backoff
from holdfast.stores.s3 import checksum
from holdfast.stores.s3.bucket import Bucket, Unfinished
from holdfast.stores.s3.client import connect
from holdfast.stores.s3.errors import service_code
from holdfast.stores.s3.options import Options
from holdfast.stores.s3.parts import MAX_PARTS, MIB

T = TypeVar("T")

_PREFIX = "holdfast-probe/"
_FEW_PARTS = 1000
_SMALLEST_PART = 5 * MIB
_FINAL = {
    *("InvalidAccessKeyId", "SignatureDoesNotMatch", "AccessDenied", "NoSuchBucket"),
    *("403", "404", "PermanentRedirect", "AuthorizationHeaderMalformed", "RequestTimeTooSkewed"),
}
"""Refusals that no other setting of ours could change."""


def needed_settings(options: Options, chosen: Collection[str]) -> Mapping[str, object]:
    """Returns settings that this service needs and the user has not `chosen`.

    Empty when the service does not work at all; the store check that follows says why. About
    10 MiB are written in some ten requests.
    """
    accepted = _first_accepted(options, chosen)
    if accepted is None:
        return {}
    settings = {name: getattr(accepted, name) for name in ("addressing", "checksum")}
    bucket = _bucket(accepted)
    with suppress(Failure):
        settings["max_parts"] = _max_parts(bucket, accepted)
    with suppress(Failure):
        settings["equal_parts"] = _wants_equal_parts(bucket, accepted)
    return {
        name: value for name, value in settings.items() if name not in chosen and value is not None
    }


def _bucket(options: Options) -> Bucket:
    backoff = Backoff(attempts=options.attempts)
    return Bucket(connect(options), options.bucket_name, options.prefix, backoff)


def _first_accepted(options: Options, chosen: Collection[str]) -> Options | None:
    """Returns options with the first addressing and checksum that write a small object."""
    styles = [options.addressing]
    if "addressing" not in chosen and options.addressing_style == "path":
        styles.append("virtual")
    modes = [options.checksum]
    if "checksum" not in chosen:
        modes += [mode for mode in ("md5", "crc32", "sha256") if mode not in modes]
    for style in styles:
        for mode in modes:
            tried = options.model_copy(update={"addressing": style, "checksum": mode})
            bucket, key = _bucket(tried), f"{_PREFIX}{secrets.token_hex(8)}"
            fields = checksum.of_part(mode, [b"x"])
            try:
                bucket.about("writing", key, bucket.client.put_object, Body=b"x", **fields)
                bucket.about("deleting", key, bucket.client.delete_object)
            except StoreRefused as refusal:
                if service_code(refusal) in _FINAL:
                    return None
            except Failure:
                return None
            else:
                return tried
    return None


def _max_parts(bucket: Bucket, options: Options) -> int | None:
    """Finds how many parts the service allows. The first part shows that parts work at all."""

    def ask(upload: Unfinished) -> int | None:
        _part(bucket, upload, 1, b"x", options)
        if not _takes(bucket, upload, MAX_PARTS, options):
            return _FEW_PARTS if _takes(bucket, upload, _FEW_PARTS, options) else 100
        return _FEW_PARTS if _counts_at_the_end(bucket, upload) else MAX_PARTS

    return _with_upload(bucket, options, ask)


def _takes(bucket: Bucket, upload: Unfinished, number: int, options: Options) -> bool:
    try:
        _part(bucket, upload, number, b"x", options)
    except StoreRefused:
        return False
    return True


def _counts_at_the_end(bucket: Bucket, upload: Unfinished) -> bool:
    """Tells whether a long list of missing parts is refused with another code than a short one."""
    codes: set[str] = set()
    for count in (2, _FEW_PARTS + 1):
        parts: list[dict[str, object]] = [
            {"PartNumber": 1 + number, "ETag": f'"{number:032x}"'} for number in range(count)
        ]
        try:
            _complete(bucket, upload, parts)
        except (StoreRefused, ObjectMissing) as refusal:
            codes.add(service_code(refusal))
        except Failure:
            continue
    return len(codes) == 2


def _wants_equal_parts(bucket: Bucket, options: Options) -> bool | None:
    """Tells whether the service refuses three parts, the second a byte longer than the first."""

    def ask(upload: Unfinished) -> bool:
        bodies = (bytes(_SMALLEST_PART), bytes(_SMALLEST_PART + 1), b"x")
        parts = [_part(bucket, upload, n, body, options) for n, body in enumerate(bodies, 1)]
        try:
            _complete(bucket, upload, parts)
        except StoreRefused:
            return True
        bucket.about("deleting", upload.key, bucket.client.delete_object)
        return False

    return _with_upload(bucket, options, ask)


def _with_upload(bucket: Bucket, options: Options, ask: Callable[[Unfinished], T]) -> T:
    key = f"{_PREFIX}{secrets.token_hex(8)}"
    fields = checksum.of_upload(options.checksum)
    create = bucket.client.create_multipart_upload
    upload = Unfinished(key, bucket.about("beginning", key, create, **fields)["UploadId"])
    try:
        return ask(upload)
    finally:
        with suppress(Failure):
            bucket.abandon(upload)


def _part(
    bucket: Bucket, upload: Unfinished, number: int, body: bytes, options: Options
) -> dict[str, object]:
    fields = checksum.of_part(options.checksum, [body])
    send, doing = bucket.client.upload_part, f"writing part {number} of"
    request = {"UploadId": upload.upload_id, "PartNumber": number, "Body": body, **fields}
    answer = bucket.about(doing, upload.key, send, **request)
    return {"PartNumber": number, "ETag": answer["ETag"], **checksum.to_repeat(fields)}


def _complete(bucket: Bucket, upload: Unfinished, parts: list[dict[str, object]]) -> None:
    request = {"UploadId": upload.upload_id, "MultipartUpload": {"Parts": parts}}
    call = bucket.client.complete_multipart_upload
    bucket.about("completing", upload.key, call, **request)
