"""Every point of the circle is read within a round, however irregular the looks are."""

import hashlib

from hypothesis import given
from hypothesis import strategies as st

from holdfast.domain.snapshot import CIRCLE, EVERYTHING, NOTHING, next_stretch

DAY = 86_400_000
PACKS = [hashlib.sha256(bytes([n])).hexdigest() for n in range(60)]


@given(st.lists(st.integers(0, 9 * DAY), min_size=1, max_size=40), st.integers(1, 30 * DAY))
def test_what_was_there_when_a_round_began_was_read_when_it_ends(
    pauses: list[int], within: int
) -> None:
    at, passed, read = 0, 0, set[str]()
    for pause in pauses:
        stretch = next_stretch(at, pause, within)
        read |= {pack for pack in PACKS if stretch.holds(pack)}
        at, passed = stretch.end, passed + pause
    if passed >= within:
        assert read == set(PACKS)


def test_a_share_is_a_share() -> None:
    day = next_stretch(0, DAY, 30 * DAY)
    assert 0.03 < day.length / CIRCLE < 0.04
    assert next_stretch(CIRCLE - 1, DAY, 30 * DAY).end < CIRCLE
    assert next_stretch(7, 90 * DAY, 30 * DAY).length == CIRCLE


def test_a_clock_that_went_back_and_a_round_of_nothing_read_nothing() -> None:
    assert next_stretch(5, -DAY, DAY).length == 0
    assert next_stretch(5, DAY, 0).length == 0
    assert not any(NOTHING.holds(pack) for pack in PACKS)
    assert all(EVERYTHING.holds(pack) for pack in PACKS)
