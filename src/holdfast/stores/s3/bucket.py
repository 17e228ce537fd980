"""One bucket as the rest of this folder talks to it: asks, translates failures, tries again."""

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
        """One request about `key`, repeated while the failure is temporary."""

        def once() -> Answer:
            try:
                return call(Bucket=self.name, **request)
            except TROUBLE as error:
                raise failure(error, doing, key) from None  # its own text may quote credentials

        return retried(once, self.backoff)

    def about(self, doing: str, key: str, call: Callable[..., Answer], **request: object) -> Answer:
        """The same for requests that name the object."""
        return self.ask(doing, key, call, Key=self.prefix + key, **request)

    def pausing_with(self, sleep: Callable[[float], None]) -> "Bucket":
        """The same bucket, waiting between attempts in another way."""
        return replace(self, backoff=replace(self.backoff, sleep=sleep))

    def head(self, key: str) -> Answer:
        return self.about("looking at", key, self.client.head_object)

    def objects(self, prefix: str) -> Iterator[Stat]:
        more: dict[str, object] = {}
        while True:
            call = self.client.list_objects_v2
            page = self.ask("listing", prefix, call, Prefix=self.prefix + prefix, **more)
            for each in page.get("Contents", ()):
                yield Stat(self._own(each["Key"]), each["Size"], milliseconds(each))
            if not page.get("IsTruncated"):
                return
            more = {"ContinuationToken": page["NextContinuationToken"]}

    def unfinished(self, prefix: str) -> Iterator[Unfinished]:
        more: dict[str, object] = {}
        while True:
            call = self.client.list_multipart_uploads
            full = self.prefix + prefix
            page = self.ask("listing unfinished uploads of", prefix, call, Prefix=full, **more)
            for each in page.get("Uploads", ()):
                began = milliseconds(each, "Initiated")
                yield Unfinished(self._own(each["Key"]), each["UploadId"], began)
            if not page.get("IsTruncated"):
                return
            more = {"KeyMarker": page["NextKeyMarker"]}
            more["UploadIdMarker"] = page["NextUploadIdMarker"]

    def abandon(self, what: Unfinished) -> None:
        """Aborts an unfinished upload; its absence is success."""
        call = self.client.abort_multipart_upload
        with suppress(ObjectMissing):
            self.about("aborting", what.key, call, UploadId=what.upload_id)

    def _own(self, full: str) -> str:
        return full.removeprefix(self.prefix)


def milliseconds(answer: Answer, name: str = "LastModified") -> int:
    return round(answer[name].timestamp() * 1000)
