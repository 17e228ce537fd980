"""Uploads an object of unknown length in parts, of which several are sent at once.

What fits into the first part is sent as one request at the end. Every part is kept until it has
arrived, so a failed one can be sent again; the plan bounds how many are kept. A part is as large as
the plan says, or smaller when this machine lacks the space to keep it.
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
from holdfast.stores.s3.buffers import Buffer, PartSpace
from holdfast.stores.s3.client import Answer
from holdfast.stores.s3.errors import service_code
from holdfast.stores.s3.parts import MAX_IN_FLIGHT, PartPlan


class S3Upload:
    def __init__(
        self,
        bucket: Bucket,
        key: str,
        plan: PartPlan,
        checksum_mode: str,
        space: PartSpace | None = None,
    ) -> None:
        self._over = threading.Event()
        self._bucket = bucket.pausing_with(self._pause)
        self._patient_bucket = bucket  # waits although the upload is over
        self._key = key
        self._plan = plan
        self._checksum = checksum_mode
        self._size = 0
        self._space = space or PartSpace(None)
        self._number = 1
        self._part_size = self._space.fitting(plan.size(1))
        self._filling = self._space.buffer(self._part_size)
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
            room = self._part_size - len(self._filling)
            self._filling.write(rest[:room])
            rest = rest[room:]
            if len(self._filling) == self._part_size:
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
        answer = self._patient_bucket.head(self._key)
        if answer["ContentLength"] != self._size:
            raise StoreRefused(
                f"{self._key} holds {answer['ContentLength']} bytes, {self._size} were written"
            )
        return Stat(self._key, self._size, milliseconds(answer))

    def abort(self) -> None:
        finished = self._over.is_set()
        self._over.set()
        self._stop_senders()
        self._filling.close()
        if self._upload is None or finished:
            return
        with suppress(Failure):  # what cannot be removed now is found again by its key
            for _ in range(3):  # a part that was under way may outlive the first abort
                self._patient_bucket.abandon(self._upload)
                if self._upload not in self._patient_bucket.unfinished(self._key):
                    return

    def _put(self) -> None:
        filled, put = self._filling, self._bucket.client.put_object
        fields = checksum.of_part(self._checksum, filled.chunks())

        def send(**request: object) -> Answer:
            return put(Body=filled.body, **request)

        self._bucket.about("writing", self._key, send, **fields)

    def _send(self) -> None:
        """Sends the filled part and waits until the next one may be filled."""
        if self._upload is None or self._senders is None:
            create = self._bucket.client.create_multipart_upload
            fields = checksum.of_upload(self._checksum)
            answer = self._bucket.about("beginning", self._key, create, **fields)
            self._upload = Unfinished(self._key, answer["UploadId"])
            self._senders = ThreadPoolExecutor(MAX_IN_FLIGHT, thread_name_prefix="part")
        if self._number > self._plan.parts:
            raise ObjectTooLarge(
                f"{self._plan.parts} parts are allowed, and this machine has not the room to keep"
                " larger ones while they are sent"
            )
        part = self._upload, self._number, self._filling
        self._pending.add(self._senders.submit(self._send_part, *part))
        self._settle(self._plan.in_flight(self._number))
        self._number += 1
        if not self._plan.equal:
            self._part_size = self._space.fitting(self._plan.size(self._number))
        self._filling = self._space.buffer(self._part_size)

    def _send_part(self, upload: Unfinished, number: int, part: Buffer) -> None:
        fields = checksum.of_part(self._checksum, part.chunks())
        upload_part = self._bucket.client.upload_part

        def send(**request: object) -> Answer:
            """Sends the part from its beginning, each time."""
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
        """Waits until at most `allowed` parts are under way; raises the error of a failed one."""
        while len(self._pending) > allowed:
            finished, self._pending = wait(self._pending, return_when=FIRST_COMPLETED)
            for future in finished:
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
        """Tells whether an earlier attempt, whose answer was lost, completed the upload."""
        with suppress(ObjectMissing):
            answer = self._bucket.head(self._key)
            marked = str(answer["ETag"]).strip('"').endswith(f"-{len(self._parts)}")
            return marked and answer["ContentLength"] == self._size
        return False

    def _stop_senders(self) -> None:
        if self._senders is not None:
            self._senders.shutdown(wait=True, cancel_futures=True)
        self._pending = set()

    def _pause(self, seconds: float) -> None:
        if self._over.wait(seconds):
            raise Interrupted("the upload was aborted")
