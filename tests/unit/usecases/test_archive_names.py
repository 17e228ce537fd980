"""Names of archived pieces say which bytes they hold."""

from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.catalog.schema import ArchiveLine, ArchivePiece
from holdfast.contracts.archive import FILE_SPAN
from holdfast.kit.seal import Secret
from holdfast.usecases.archiving.layout import Layout
from holdfast.usecases.archiving.pieces import Spans

LAYOUT = Layout(cast("Any", None), "archive/p/a/u/", "", Secret(""), "mysql", "10.11")
FILES = ArchiveLine(name="maria.db-bin", root="r", segment=FILE_SPAN)
SEGMENTS = ArchiveLine(name="0000000A", root="r", segment=1 << 20)


@given(
    number=st.integers(1, 10**9),
    start=st.integers(0, FILE_SPAN - 2),
    size=st.integers(1, FILE_SPAN - 1),
    is_whole=st.booleans(),
)
def test_a_piece_of_a_file(number: int, start: int, size: int, is_whole: bool) -> None:
    begin = number * FILE_SPAN + start
    end = min(begin + size, (number + 1) * FILE_SPAN)
    piece = ArchivePiece(start=begin, end=end, whole=is_whole)
    key = LAYOUT.key_of(FILES, piece)
    assert key.startswith(f"archive/p/a/u/r/maria.db-bin/maria.db-bin.{number:06d}.")
    assert LAYOUT.span_of(FILES, key) == (begin, end, is_whole)
    assert LAYOUT.span_of(SEGMENTS, key) is None


@given(st.integers(0, 1 << 40), st.integers(0, (1 << 20) - 2), st.integers(1, 1 << 20))
def test_a_piece_of_a_segment(number: int, start: int, size: int) -> None:
    begin = number * SEGMENTS.segment + start
    end = min(begin + size, (number + 1) * SEGMENTS.segment)
    is_whole = end - begin == SEGMENTS.segment
    key = LAYOUT.key_of(SEGMENTS, ArchivePiece(start=begin, end=end, whole=is_whole))
    assert LAYOUT.span_of(SEGMENTS, key) == (begin, end, is_whole)


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [(4, 9, True), (4, 10, True), (5, 11, False), (9, 21, False), (12, 20, True), (0, 3, False)],
)
def test_a_part_is_replaced_by_the_segment_that_has_all_of_it(
    start: int, end: int, expected: bool
) -> None:
    assert Spans([(12, 20), (4, 10)]).hold(start, end) is expected
