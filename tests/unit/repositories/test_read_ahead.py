"""Reading ahead: the same bytes, in far fewer requests, and nothing extra for who jumps about."""

import random
from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from holdfast.repositories.restic.read_ahead import ReadAhead

PACKS = {name: random.Random(name).randbytes(3 << 20) for name in "abcdef"}
SIZE = 3 << 20


def counted() -> tuple[ReadAhead, list[int], Callable[[str, int, int], bytes]]:
    asked: list[int] = []

    def fetch(pack: str, start: int, end: int) -> bytes:
        asked.append(end - start)
        return PACKS[pack][start:end]

    return ReadAhead(fetch), asked, fetch


@given(
    st.lists(
        st.tuples(st.sampled_from("abcdef"), st.integers(0, SIZE), st.integers(0, 1 << 17)),
        max_size=60,
    )
)
def test_it_gives_what_is_stored(parts: list[tuple[str, int, int]]) -> None:
    ahead, _, _ = counted()
    for pack, start, length in parts:
        end = min(SIZE, start + length)
        assert bytes(ahead.part(pack, start, end, SIZE)) == PACKS[pack][start:end]


def test_small_files_in_a_row_take_few_requests() -> None:
    ahead, asked, _ = counted()
    for pack in "ab":
        for start in range(0, SIZE, 3000):
            ahead.part(pack, start, min(SIZE, start + 3000), SIZE)
    assert len(asked) < 20
    assert sum(asked) < 2.1 * SIZE


def test_scattered_blocks_are_read_exactly() -> None:
    ahead, asked, _ = counted()
    for start in range(0, SIZE - 40_000, 200_000):
        for pack in "abcdef":
            ahead.part(pack, start, start + 32_000, SIZE)
    assert set(asked) == {32_000}
