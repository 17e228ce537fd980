"""How operations may move: along the table, never out of an end, always to an end."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.domain.operation import MOVES, OVER, PRIORITY, Kind, Status, may_begin, may_move

STATUS = st.sampled_from(Status)


@given(STATUS, STATUS)
def test_only_the_table_moves(old: Status, new: Status) -> None:
    assert may_move(old, new) == (new in MOVES[old])


@given(STATUS)
def test_nothing_moves_to_itself_or_back_to_the_start(status: Status) -> None:
    assert not may_move(status, status)
    assert not may_move(status, Status.SCHEDULED)


@given(st.lists(STATUS, max_size=12))
def test_every_walk_is_short_and_what_is_over_stays(walk: list[Status]) -> None:
    """There is no circle: from the start at most three moves lead to an end."""
    at, moves = Status.SCHEDULED, 0
    for wanted in walk:
        if may_move(at, wanted):
            assert at not in OVER
            at, moves = wanted, moves + 1
    assert moves <= 3


def test_every_unfinished_status_leads_to_an_end() -> None:
    for status in set(Status) - OVER:
        assert any(new in OVER for new in MOVES[status])


def test_the_words_are_those_of_the_api() -> None:
    assert {str(status) for status in Status} == {
        "scheduled", "in-progress", "completed", "aborting", "aborted", "failed", "not-supported",
    }  # fmt: skip


def test_a_restore_goes_first_and_upkeep_of_what_was_taken_last() -> None:
    order = sorted(PRIORITY, key=lambda kind: PRIORITY[kind])
    assert set(order[:2]) == {Kind.RESTORE, Kind.RESTORE_IN_PLACE}
    assert set(order[-7:-5]) == {Kind.BACKUP, Kind.SNAPSHOT}
    assert order[-5:-1] == [Kind.REPLICATE, Kind.REPAIR, Kind.PRUNE, Kind.DROP_OLD]
    assert order[-1] is Kind.DRILL


@pytest.mark.parametrize(
    ("kind", "running", "begins"),
    [
        (Kind.BACKUP, set[Kind](), True),
        (Kind.BACKUP, {Kind.REPLICATE, Kind.DRILL}, True),
        (Kind.BACKUP, {Kind.RESTORE}, False),
        (Kind.SNAPSHOT, {Kind.PRUNE}, False),
        (Kind.DRILL, {Kind.RESTORE, Kind.REPLICATE}, True),
        (Kind.DRILL, {Kind.DRILL}, False),
        (Kind.REPLICATE, {Kind.SNAPSHOT}, True),
        (Kind.REPLICATE, {Kind.REPLICATE}, False),
        (Kind.REPLICATE, {Kind.PRUNE}, False),
        (Kind.PRUNE, {Kind.REPLICATE}, False),
        (Kind.REPAIR, {Kind.REPLICATE}, False),
        (Kind.PRUNE, {Kind.DRILL}, True),
    ],
)
def test_what_may_begin_beside_what_runs(kind: Kind, running: set[Kind], begins: bool) -> None:
    assert may_begin(kind, running) is begins
