"""The last commit of an adopted log is looked for segment by segment, from the end."""

from itertools import pairwise

from holdfast.catalog.schema import ArchiveLine, ArchivePiece
from holdfast.contracts.archive import FILE_SPAN
from holdfast.usecases.adoption.archive_survey import segments_from_end, stretches_of


def reading_order(segment: int, *bounds: int) -> list[list[tuple[int, int]]]:
    pieces = [ArchivePiece(start=start, end=end) for start, end in pairwise(bounds)]
    [stretch] = stretches_of(pieces)
    read = segments_from_end(ArchiveLine(segment=segment), stretch)
    return [[(piece.start, piece.end) for piece in together] for together in read]


def test_the_parts_of_a_segment_are_read_together() -> None:
    parts = [(64, 70), (70, 80), (80, 81)]
    assert reading_order(64, 0, 64, 70, 80, 81) == [parts, [(0, 64)]]


def test_a_segment_that_has_lost_its_beginning_cannot_be_read() -> None:
    assert reading_order(64, 10, 64, 70) == [[(64, 70)]]


def test_a_part_of_a_file_is_read_with_the_one_it_begins_with() -> None:
    end = FILE_SPAN
    assert reading_order(end, 0, 7, end, end + 9) == [
        [(end, end + 9)], [(0, 7), (7, end)], [(0, 7)],
    ]  # fmt: skip
