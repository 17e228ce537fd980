"""Sends requests to one bucket, translates failures and retries temporary ones."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace

from holdfast.contracts.store import Stat
from holdfast.domain.errors import ObjectMissing
from holdfast.kit.backoff import Backoff, retried
from holdfast.stores.s3.client import Answer, Client
from holdfast.stores.s3.errors import TROUBLE, failure


@dataclass(frozen=True)
class Unfinished:
    """A multipart upload that was neither completed nor aborted."""

    key: str
    upload_id: str
    initiated: int = field(default=0, compare=False)


@dataclass(frozen=True)
class Bucket:
    client: Client
    name: str
    prefix: str
    backoff: Backoff

    def ask(self, doing: str, key: str, call: Callable[..., Answer], **request: object) -> Answer:
        """Sends one request about `key`, and repeats it while the failure is temporary."""

        def once() -> Answer:
            try:
                return call(Bucket=self.name, **request)
            except TROUBLE as error:
                raise failure(error, doing, key) from None  # its own text may quote credentials

        return retried(once, self.backoff)

    def about(self, doing: str, key: str, call: Callable[..., Answer], **request: object) -> Answer:
        """Like `ask`, for requests that name the object."""
        return self.ask(doing, key, call, Key=self.prefix + key, **request)

    def pausing_with(self, sleep: Callable[[float], None]) -> "Bucket":
        """Returns the same bucket with another way to wait between attempts."""
        return replace(self, backoff=replace(self.backoff, sleep=sleep))

    def head(self, key: str) -> Answer:
        return self.about("looking at", key, self.client.head_object)

    def objects(self, prefix: str) -> Iterator[Stat]:
        more: dict[str, object] = {}
        while True:
            call = self.client.list_objects_v2
            page = self.ask("listing", prefix, call, Prefix=self.prefix + prefix, **more)
            for entry in page.get("Contents", ()):
                yield Stat(self._own(entry["Key"]), entry["Size"], milliseconds(entry))
            if not page.get("IsTruncated"):
                return
            more = {"ContinuationToken": page["NextContinuationToken"]}

    def unfinished(self, prefix: str) -> Iterator[Unfinished]:
        more: dict[str, object] = {}
        while True:
            call = self.client.list_multipart_uploads
            full = self.prefix + prefix
            page = self.ask("listing unfinished uploads of", prefix, call, Prefix=full, **more)
            for entry in page.get("Uploads", ()):
                began = milliseconds(entry, "Initiated")
                yield Unfinished(self._own(entry["Key"]), entry["UploadId"], began)
            if not page.get("IsTruncated"):
                return
            more = {"KeyMarker": page["NextKeyMarker"]}
            more["UploadIdMarker"] = page["NextUploadIdMarker"]

    def abandon(self, upload: Unfinished) -> None:
        """Aborts an unfinished upload; its absence is success."""
        call = self.client.abort_multipart_upload
        with suppress(ObjectMissing):
            self.about("aborting", upload.key, call, UploadId=upload.upload_id)

    def _own(self, full: str) -> str:
        return full.removeprefix(self.prefix)


def milliseconds(answer: Answer, name: str = "LastModified") -> int:
    return round(answer[name].timestamp() * 1000)
