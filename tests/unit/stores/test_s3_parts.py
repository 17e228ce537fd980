"""Part sizes: growing, bounded in memory, and adding up to what is promised."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.domain.errors import ObjectTooLarge
from holdfast.kit.backoff import Backoff
from holdfast.stores.s3.bucket import Bucket
from holdfast.stores.s3.parts import (
    FIRST_PART_BYTES,
    IN_MEMORY_BYTES,
    MAX_IN_FLIGHT,
    MAX_PART_BYTES,
    MEMORY_BYTES,
    PartPlan,
)
from holdfast.stores.s3.upload import S3Upload

GIB, TIB = 1 << 30, 1 << 40


def room(plan: PartPlan, count: int) -> int:
    return sum(plan.size(number) for number in range(1, count + 1))


def test_ten_thousand_parts_hold_the_largest_object_there_is() -> None:
    plan = PartPlan(10_000)
    assert plan.max_object_bytes == 5 * TIB
    assert room(plan, 4000) >= 400 * GIB
    assert plan.size(4000) <= IN_MEMORY_BYTES, "so much goes without a disk"


def test_a_thousand_parts_hold_what_services_of_that_limit_allow() -> None:
    """5 TB: with 5 GiB at most in a part, 4.88 TiB are all there is."""
    assert PartPlan(1000).max_object_bytes >= 5 * 10**12


def test_when_nobody_knows_the_limit_a_thousand_parts_are_enough_too() -> None:
    assert room(PartPlan(), 1000) >= 5 * 10**12
    assert PartPlan().max_object_bytes == 5 * TIB


def test_small_objects_are_sent_in_small_parts() -> None:
    for plan in (PartPlan(), PartPlan(10_000), PartPlan(1000)):
        assert plan.size(1) == FIRST_PART_BYTES == 8 << 20
        assert plan.in_flight(1) >= 3


@settings(deadline=None)  # a machine may be slow
@given(max_parts=st.integers(100, 10_000), number=st.integers(1, 10_000))
def test_parts_of_one_size_hold_the_largest_object_too(max_parts: int, number: int) -> None:
    plan = PartPlan(max_parts, equal=True)
    assert plan.size(number) == plan.size(1) <= MAX_PART_BYTES
    assert plan.max_object_bytes == min(5 * TIB, max_parts * plan.size(1))
    assert plan.max_object_bytes == 5 * TIB or plan.size(1) == MAX_PART_BYTES


@settings(deadline=None)  # a machine may be slow
@given(max_parts=st.none() | st.integers(100, 10_000), share=st.floats(0, 1))
def test_parts_never_shrink_and_memory_never_overflows(max_parts: int | None, share: float) -> None:
    plan = PartPlan(max_parts)
    number = 1 + int(share * (plan.parts - 2))

    assert FIRST_PART_BYTES <= plan.size(number) <= plan.size(number + 1) <= MAX_PART_BYTES
    assert plan.max_object_bytes == min(5 * TIB, room(plan, plan.parts))
    kept = [plan.size(number)] * plan.in_flight(number) + [plan.size(number + 1)]
    assert sum(size for size in kept if size <= IN_MEMORY_BYTES) <= MEMORY_BYTES
    assert plan.in_flight(number) <= 1 or plan.size(number + 1) <= IN_MEMORY_BYTES


class SlowClient:
    """Answers when told to; counts the bytes it was given and has not let go of."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.held = self.most = self.total = self.most_parts = self.parts = 0
        self.numbers: list[int] = []

    def create_multipart_upload(self, **request: object) -> dict[str, str]:
        return {"UploadId": "u"}

    def upload_part(self, **request: Any) -> dict[str, str]:
        with self.lock:
            self.parts += 1
            self.held += len(request["Body"])
            self.total += len(request["Body"])
            self.most = max(self.most, self.held)
            self.most_parts = max(self.most_parts, self.parts)
        threading.Event().wait(0.002)
        with self.lock:
            self.parts -= 1
            self.held -= len(request["Body"])
        return {"ETag": str(request["PartNumber"])}

    def complete_multipart_upload(self, **request: Any) -> dict[str, str]:
        self.numbers = [part["PartNumber"] for part in request["MultipartUpload"]["Parts"]]
        return {}

    def head_object(self, **request: object) -> dict[str, object]:
        return {"ContentLength": self.total, "LastModified": datetime.fromtimestamp(0, UTC)}


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], int]:
    """The plan's own numbers, a thousand times smaller, and nothing on disk."""
    sizes = {
        "FIRST_PART_BYTES": FIRST_PART_BYTES,
        "MAX_PART_BYTES": IN_MEMORY_BYTES,
        "IN_MEMORY_BYTES": IN_MEMORY_BYTES,
        "MEMORY_BYTES": MEMORY_BYTES,
    }
    for name, value in sizes.items():
        monkeypatch.setattr(f"holdfast.stores.s3.parts.{name}", value >> 10)
    return lambda value: value >> 10


def test_an_upload_holds_no_more_than_its_share_of_memory(small: Callable[[int], int]) -> None:
    client, plan = SlowClient(), PartPlan(100)
    upload = S3Upload(Bucket(client, "b", "", Backoff()), "key", plan, "none")  # type: ignore[arg-type]
    chunk = bytes(100_000)
    written = 0
    while written + len(chunk) <= plan.max_object_bytes:
        upload.write(chunk)
        written += len(chunk)
    upload.write(bytes(plan.max_object_bytes - written))
    stat = upload.commit()

    assert stat.size == plan.max_object_bytes == client.total
    assert client.numbers == list(range(1, 101))
    assert client.most <= small(MEMORY_BYTES)
    assert 1 < client.most_parts <= MAX_IN_FLIGHT


def test_the_byte_after_the_largest_object_is_refused(small: Callable[[int], int]) -> None:
    client, plan = SlowClient(), PartPlan(100)
    upload = S3Upload(Bucket(client, "b", "", Backoff()), "key", plan, "none")  # type: ignore[arg-type]
    upload.write(bytes(plan.max_object_bytes))

    with pytest.raises(ObjectTooLarge):
        upload.write(b"x")
