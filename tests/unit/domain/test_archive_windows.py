"""Windows of an archive against a reader of single bytes, which knows no stretches."""

from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.domain.archive import windows as rules
from holdfast.domain.archive.windows import Archive, Base, Gap, Head, Line, Piece, Window

ROOT = "r"
SEGMENT = 4
END = 24
"""Positions of a line, and bytes of a segment."""


def begin_of(position: int) -> int:
    return position - position % SEGMENT


@st.composite
def archives(draw: st.DrawFn) -> Archive:
    positions = st.integers(0, END)
    lines = [Line(1, ROOT, begins=0)]
    for key in range(2, draw(st.integers(2, 5))):
        parent = draw(st.sampled_from([None, *(line.key for line in lines)]))
        forked = draw(positions) if parent is not None else 0
        begins = draw(st.one_of(st.none(), st.integers(0, 90)))
        root = ROOT if parent is not None else f"r{key}"
        lines.append(Line(key, root, parent, forked, begin_of(forked), begins))
    keys = st.sampled_from([line.key for line in lines])
    clocks = st.integers(0, 99)
    pieces: list[Piece] = []
    for _ in range(draw(st.integers(0, 12))):
        start = draw(st.integers(0, END - 1))
        end = draw(st.integers(start + 1, END))
        pieces.append(Piece(draw(keys), start, end, draw(st.one_of(st.none(), clocks))))
    heads = [
        Head(draw(keys), draw(positions), draw(clocks)) for _ in range(draw(st.integers(0, 3)))
    ]
    bases: list[Base] = []
    for number in range(draw(st.integers(0, 4))):
        end = draw(positions)
        bases.append(Base(number, draw(keys), begin_of(end), end, draw(clocks)))
    return Archive(lines, pieces, heads, bases)


def restorable(archive: Archive) -> set[tuple[int, int]]:
    """Every (line, instant) that a reader reaches who goes on byte by byte."""
    stored = {(p.line, at) for p in archive.pieces for at in range(p.start, p.end)}
    reached: set[tuple[int, int]] = set()

    def follow(line: Line, needs: int, least: int, base: Base) -> None:
        at = needs
        while (line.key, at) in stored:
            at += 1
        if at == needs or at < least:
            return
        first = needs
        while (line.key, first - 1) in stored:
            first -= 1
        clocks = [
            piece.clock
            for piece in archive.pieces
            if piece.line == line.key and first <= piece.start < at and piece.clock is not None
        ]
        clocks += [
            head.clock
            for head in archive.heads
            if head.line == line.key and first <= head.position <= at
        ]
        begins = base.instant if line.key == base.line else line.begins
        if begins is not None and clocks:
            instants = range(max(begins, base.instant), max(clocks) + 1)
            reached.update((line.key, instant) for instant in instants)
        for child in archive.lines:
            if child.parent == line.key and least <= child.forked <= at:
                follow(child, child.needs, child.forked, base)

    for base in archive.bases:
        follow(next(x for x in archive.lines if x.key == base.line), base.needs, base.end, base)
    return reached


@settings(deadline=None, max_examples=150)
@given(archives())
def test_windows_are_what_a_reader_of_bytes_reaches(archive: Archive) -> None:
    routes = rules.routes(archive)
    merged = rules.windows(routes)
    shown = {(w.line, instant) for w in merged for instant in range(w.begin, w.end + 1)}
    assert shown == restorable(archive)
    lines = {line.key: line for line in archive.lines}
    instants = {instant for _, instant in shown}
    for gap in rules.gaps(merged, lines):
        assert gap.reason
        assert instants.isdisjoint(range(gap.begin + 1, gap.end))
    for instant in range(-1, 101, 3):
        route = rules.route_to(routes, lines, instant)
        assert (route is not None) == (instant in instants)
        if route is not None:
            assert route.base.instant <= instant
            assert (route.window.line, instant) in shown
            assert route.legs[-1].line == route.window.line
            for before, after in zip(route.legs, route.legs[1:], strict=False):
                child = lines[after.line]
                assert (child.parent, child.forked) == (before.line, before.end)


def test_a_hole_in_the_log_is_a_gap_with_both_ends() -> None:
    lines = [Line(1, "a", ended="the server removed its log"), Line(2, "b", begins=50)]
    archive = Archive(
        lines,
        [Piece(1, 0, 8, 20), Piece(2, 12, 20, 70)],
        [Head(1, 8, 25)],
        [Base(1, 1, 0, 3, 10), Base(2, 2, 12, 14, 60)],
    )
    merged = rules.windows(rules.routes(archive))
    assert merged == [Window("a", 1, 10, 25), Window("b", 2, 60, 70)]
    by_key = {line.key: line for line in lines}
    assert rules.gaps(merged, by_key) == [Gap(25, 60, "the server removed its log")]


def test_a_base_whose_log_is_not_whole_reaches_nothing() -> None:
    base = Base(1, 1, 4, 7, 10)
    for pieces in ([], [Piece(1, 5, 20, 30)], [Piece(1, 0, 6, 30)], [Piece(1, 4, 7, None)]):
        assert rules.routes(Archive([Line(1, "a", begins=0)], pieces, [], [base])) == []


def test_the_nearest_snapshot_that_is_surely_before_the_target() -> None:
    """By position and by transaction, whatever the server's clock said."""
    archive = Archive(
        [Line(1, "a", begins=0), Line(2, "a", 1, 20, 20, begins=30)],
        [Piece(1, 0, 24, 40), Piece(2, 20, 40, 90)],
        [],
        [Base(1, 1, 0, 2, 35), Base(2, 1, 8, 10, 5), Base(3, 2, 28, 30, 60)],
    )
    reached = rules.routes(archive)

    def base_of(position: int) -> tuple[int, int] | None:
        route = rules.route_to_position(reached, position)
        return (route.base.key, route.window.line) if route else None

    assert [base_of(at) for at in (1, 2, 9, 10, 19, 29, 30, 40, 41)] == [
        None, (1, 1), (1, 1), (2, 1), (2, 1), (2, 2), (3, 2), (3, 2), None,
    ]  # fmt: skip
    leading = [route for route in reached if route.window.line == 2]
    surely = [set[int](), {1}, {1, 2}]
    keys = [rules.route_past(leading, lambda base, n=n: base.key in n).base.key for n in surely]
    assert keys == [1, 1, 2]
