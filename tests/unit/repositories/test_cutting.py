"""Blocks depend on a file's bytes alone, and what is inserted moves few of them."""

import random
from collections.abc import Iterator
from itertools import accumulate, pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.contracts.snapshots import Cut
from holdfast.repositories.restic.write.cutting import ContentCutter, Cutter, FixedCutter, cutters

AVERAGE = 4096


def blocks(cutter: Cutter, portions: Iterator[bytes]) -> list[bytes]:
    """As a file's writer asks for them."""
    pending, found = b"", []
    for portion, last in [*((each, False) for each in portions), (b"", True)]:
        pending += portion
        lengths = list(cutter.lengths(memoryview(pending), last=last))
        ends = [0, *accumulate(lengths)]
        found += [pending[begin:end] for begin, end in pairwise(ends)]
        pending = pending[ends[-1] :]
    assert pending == b"", "the last bytes were forgotten"
    return found


def portions(body: bytes, sizes: list[int]) -> Iterator[bytes]:
    at = 0
    for size in sizes:
        yield body[at : at + size]
        at += size
    yield body[at:]


def noise(seed: int, size: int) -> bytes:
    return random.Random(seed).randbytes(size)


@pytest.mark.parametrize(
    "cutter", [FixedCutter(AVERAGE), ContentCutter(AVERAGE)], ids=["fixed", "content"]
)
@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 5),
    size=st.integers(0, 90_000),
    sizes=st.lists(st.integers(0, 30_000), max_size=8),
)
def test_portions_do_not_matter(cutter: Cutter, seed: int, size: int, sizes: list[int]) -> None:
    body = noise(seed, size)
    at_once = blocks(cutter, iter([body]))
    assert b"".join(at_once) == body
    assert blocks(cutter, portions(body, sizes)) == at_once
    assert all(at_once), "an empty block"


def test_blocks_by_content_are_neither_small_nor_large() -> None:
    found = blocks(ContentCutter(AVERAGE), iter([noise(1, 1_000_000)]))
    assert min(len(each) for each in found[:-1]) >= AVERAGE // 4
    assert max(len(each) for each in found) <= AVERAGE * 4
    assert blocks(ContentCutter(AVERAGE), iter([bytes(100_000)])), (
        "bytes that never say where to cut"
    )


def test_what_is_inserted_moves_the_blocks_around_it_only() -> None:
    body = noise(1, 1_000_000)
    grown = body[:500_000] + b"some more" + body[500_000:]
    known = set(blocks(ContentCutter(AVERAGE), iter([body])))
    fresh = [each for each in blocks(ContentCutter(AVERAGE), iter([grown])) if each not in known]
    assert 1 <= len(fresh) <= 3
    assert sum(map(len, fresh)) <= 3 * 4 * AVERAGE


def test_every_kind_of_file_has_its_cutter() -> None:
    assert cutters(32 << 10).keys() == set(Cut)
