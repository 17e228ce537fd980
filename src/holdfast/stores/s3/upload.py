"""An object of unknown length on its way: parts fill one after another and travel side by side.

What fits into the first part is sent as one request at the end. Every part is kept until it has
arrived, so a failed one can be sent again; how many are kept is bounded by the plan. A part is as
large as the plan wants it, or smaller where this machine has not the room to keep it.
"""

import threading
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress

from holdfast.contracts.store import Stat
from holdfast.domain.errors import (
    Failure,
    Interrupted,
    ObjectMissing,
    ObjectTooLarge,
    StoreRefused,
)
from holdfast.stores.s3 import checksum
from holdfast.stores.s3.bucket import Bucket, Unfinished, milliseconds
from holdfast.stores.s3.buffers import Buffer, Room
from holdfast.stores.s3.client import Answer
from holdfast.stores.s3.errors import service_code
from holdfast.stores.s3.parts import IN_FLIGHT, PartPlan


class S3Upload:
    def __init__(
        self,
        bucket: Bucket,
        key: str,
        plan: PartPlan,
        checksum_mode: str,
        room: Room | None = None,
    ) -> None:
        self._over = threading.Event()
        self._bucket = bucket.pausing_with(self._pause)
        self._last_word = bucket
        self._key = key
        self._plan = plan
        self._checksum = checksum_mode
        self._size = 0
        self._room = room or Room(None)
        self._number = 1
        self._wanted = self._room.fitting(plan.size(1))
        self._filling = self._room.buffer(self._wanted)
        self._upload: Unfinished | None = None
        self._senders: ThreadPoolExecutor | None = None
        self._pending: set[Future[None]] = set()
        self._parts: dict[int, dict[str, object]] = {}

    def write(self, data: bytes | memoryview) -> None:
        rest = memoryview(data)
        self._size += len(rest)
        if self._size > self._plan.max_object_bytes:
            raise ObjectTooLarge(f"at most {self._plan.max_object_bytes} bytes fit into one object")
        while rest:
            room = self._wanted - len(self._filling)
            self._filling.write(rest[:room])
            rest = rest[room:]
            if len(self._filling) == self._wanted:
                self._send()

    def commit(self) -> Stat:
        if self._over.is_set():
            raise StoreRefused("the upload is over")
        if self._upload is None:
            self._put()
        else:
            self._complete(self._upload)
        self._over.set()
        self._stop_senders()
        self._filling.close()
        return self._verified()

    def abort(self) -> None:
        finished = self._over.is_set()
        self._over.set()
        self._stop_senders()
        self._filling.close()
        if self._upload is None or finished:
            return
        with suppress(Failure):  # what cannot be removed now is found again by its key
            self._abandon(self._upload)

    def _put(self) -> None:
        filled, put = self._filling, self._bucket.client.put_object
        fields = checksum.of_part(self._checksum, filled.chunks())

        def send(**request: object) -> Answer:
            return put(Body=filled.body, **request)

        self._bucket.about("writing", self._key, send, **fields)

    def _send(self) -> None:
        """Sends the filled part away and waits until the next one may be filled."""
        upload, senders = self._started()
        if self._number > self._plan.parts:
            raise ObjectTooLarge(
                f"{self._plan.parts} parts are allowed, and this machine has not the room to keep"
                " larger ones while they are sent"
            )
        self._pending.add(senders.submit(self._send_part, upload, self._number, self._filling))
        self._settle(self._plan.in_flight(self._number))
        self._number += 1
        if not self._plan.equal:
            self._wanted = self._room.fitting(self._plan.size(self._number))
        self._filling = self._room.buffer(self._wanted)

    def _started(self) -> tuple[Unfinished, ThreadPoolExecutor]:
        if self._upload is None or self._senders is None:
            create = self._bucket.client.create_multipart_upload
            fields = checksum.of_upload(self._checksum)
            answer = self._bucket.about("beginning", self._key, create, **fields)
            self._upload = Unfinished(self._key, answer["UploadId"])
            self._senders = ThreadPoolExecutor(IN_FLIGHT, thread_name_prefix="part")
        return self._upload, self._senders

    def _send_part(self, upload: Unfinished, number: int, part: Buffer) -> None:
        fields = checksum.of_part(self._checksum, part.chunks())
        upload_part = self._bucket.client.upload_part

        def send(**request: object) -> Answer:
            """From the beginning of the part, each time."""
            return upload_part(Body=part.body, **request)

        answer = self._bucket.about(
            f"writing part {number} of",
            self._key,
            send,
            UploadId=upload.upload_id,
            PartNumber=number,
            **fields,
        )
        part.close()
        repeated = checksum.to_repeat(fields)
        self._parts[number] = {"PartNumber": number, "ETag": answer["ETag"], **repeated}

    def _settle(self, allowed: int) -> None:
        """Waits until at most `allowed` parts are on their way; raises what one of them met."""
        while len(self._pending) > allowed:
            done, self._pending = wait(self._pending, return_when=FIRST_COMPLETED)
            for future in done:
                future.result()

    def _complete(self, upload: Unfinished) -> None:
        if len(self._filling):
            self._send()
        self._settle(0)
        parts = [self._parts[number] for number in sorted(self._parts)]
        call = self._bucket.client.complete_multipart_upload
        request = {"UploadId": upload.upload_id, "MultipartUpload": {"Parts": parts}}
        try:
            self._bucket.about("completing", self._key, call, **request)
        except ObjectMissing as error:
            if service_code(error) != "NoSuchUpload" or not self._arrived():
                raise

    def _arrived(self) -> bool:
        """Did an earlier attempt complete it, whose answer was lost?"""
        with suppress(ObjectMissing):
            found = self._bucket.head(self._key)
            marked = str(found["ETag"]).strip('"').endswith(f"-{len(self._parts)}")
            return marked and found["ContentLength"] == self._size
        return False

    def _verified(self) -> Stat:
        found = self._last_word.head(self._key)
        if found["ContentLength"] != self._size:
            raise StoreRefused(
                f"{self._key} holds {found['ContentLength']} bytes, {self._size} were written"
            )
        return Stat(self._key, self._size, milliseconds(found))

    def _abandon(self, upload: Unfinished) -> None:
        """A part that was under way may outlive the first abort: repeat until none is left."""
        for _ in range(3):
            self._last_word.abandon(upload)
            if upload not in self._last_word.unfinished(self._key):
                return

    def _stop_senders(self) -> None:
        if self._senders is not None:
            self._senders.shutdown(wait=True, cancel_futures=True)
        self._pending = set()

    def _pause(self, seconds: float) -> None:
        if self._over.wait(seconds):
            raise Interrupted("the upload was aborted")
