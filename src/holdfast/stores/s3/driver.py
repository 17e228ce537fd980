"""Stores objects in a bucket of any service that speaks S3, AWS or not."""

from collections.abc import Collection, Iterator, Mapping

from holdfast.contracts.store import Stat, Upload
from holdfast.domain.errors import StoreRefused
from holdfast.kit.backoff import Backoff
from holdfast.kit.processes.memory import keep_memory_steady
from holdfast.stores.keys import checked_clearing, checked_key, checked_prefix
from holdfast.stores.s3 import checksum
from holdfast.stores.s3.bucket import Bucket, Unfinished, milliseconds
from holdfast.stores.s3.buffers import PartSpace
from holdfast.stores.s3.client import connect
from holdfast.stores.s3.download import read_object
from holdfast.stores.s3.errors import service_code
from holdfast.stores.s3.options import Options
from holdfast.stores.s3.parts import PartPlan
from holdfast.stores.s3.settling import needed_settings
from holdfast.stores.s3.upload import S3Upload


class S3Store:
    near = False
    hides_versions = False

    def __init__(self, options: Options, backoff: Backoff | None = None) -> None:
        keep_memory_steady()
        self._plan = PartPlan(options.max_parts, options.wants_equal_parts)
        self._space = PartSpace(options.spool)
        self._checksum = options.checksum
        self.max_object_bytes = self._plan.max_object_bytes
        self._bucket = Bucket(
            connect(options),
            options.bucket_name,
            options.prefix,
            backoff or Backoff(attempts=options.attempts),
        )

    def begin(self, key: str) -> Upload:
        return S3Upload(self._bucket, checked_key(key), self._plan, self._checksum, self._space)

    def get(self, key: str, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        return read_object(self._bucket, checked_key(key), start, end)

    def stat(self, key: str) -> Stat:
        answer = self._bucket.head(checked_key(key))
        return Stat(key, answer["ContentLength"], milliseconds(answer))

    def list(self, prefix: str, *, unfinished: bool = False) -> Iterator[Stat]:
        checked_prefix(prefix)
        if unfinished:
            uploads = self._bucket.unfinished(prefix)
            return (Stat(upload.key, 0, upload.initiated) for upload in uploads)
        return self._bucket.objects(prefix)

    def delete(self, key: str) -> None:
        self._remove(checked_key(key))
        for upload in self._bucket.unfinished(key):
            if upload.key == key:
                self._bucket.abandon(upload)

    def clear(self, prefix: str) -> int:
        removed = 0
        for upload in list(self._bucket.unfinished(checked_clearing(prefix))):
            self._bucket.abandon(upload)
            removed += 1
        for stat in list(self._bucket.objects(prefix)):
            self._remove(stat.key)
            removed += 1
        return removed

    def try_write(self, key: str) -> None:
        """Begins an upload in parts and aborts it: one request that is paid for, whatever the
        bucket does with what is stored or deleted. A service without such uploads is not asked."""
        create, fields = (
            self._bucket.client.create_multipart_upload,
            checksum.of_upload(self._checksum),
        )
        try:
            answer = self._bucket.about("beginning", checked_key(key), create, **fields)
        except StoreRefused as refusal:
            if service_code(refusal) in ("NotImplemented", "501"):
                return
            raise
        self._bucket.abandon(Unfinished(key, answer["UploadId"]))

    def _remove(self, key: str) -> None:
        answer = self._bucket.about("deleting", key, self._bucket.client.delete_object)
        if answer.get("DeleteMarker"):
            self.hides_versions = True


def open_store(options: Options) -> S3Store:
    return S3Store(options)


def settle(options: Options, chosen: Collection[str]) -> Mapping[str, object]:
    """Returns settings that the service needs beside those the user has `chosen`."""
    return needed_settings(options, chosen)
