"""Removal of old log against a world of bytes: whatever happens, what is promised is restorable."""

from dataclasses import dataclass, field, replace

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from holdfast.domain.archive import retention
from holdfast.domain.archive import windows as rules
from holdfast.domain.archive.retention import Promise
from holdfast.domain.archive.windows import Archive, Base, Head, Line, Piece

SEGMENT = 4
SPAN = 20


def begin_of(position: int) -> int:
    return position - position % SEGMENT


def shown(archive: Archive) -> set[tuple[int, int]]:
    """Every (line, instant) that the windows of an archive promise."""
    merged = rules.windows(rules.routes(archive))
    return {(w.line, instant) for w in merged for instant in range(w.begin, w.end + 1)}


def found(archive: Archive) -> Archive:
    return replace(archive, bases=[*archive.bases, *archive.lost], lost=())


@dataclass
class Log:
    """One line as it grows: where its bytes end."""

    line: Line
    end: int
    pieces: list[Piece] = field(default_factory=list[Piece])


class Removing(RuleBasedStateMachine):
    """A server writes, is backed up, fails over, loses its slot; its snapshots are lost, found and
    expire; clocks jump; and again and again what may be removed is removed."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1000
        self.server_ahead = 0
        self.logs = [Log(Line(1, "r1", begins=1000), 0)]
        self.bases: list[Base] = []
        self.lost: set[int] = set()
        self.removed: dict[int, int] = {}
        self.heads: dict[int, Head] = {}

    @property
    def clock(self) -> int:
        return self.now + self.server_ahead

    def archive(self, *, with_removed: bool = False) -> Archive:
        pieces = [
            piece
            for log in self.logs
            for piece in log.pieces
            if with_removed or piece.end > self.removed.get(piece.line, 0)
        ]
        return Archive(
            [log.line for log in self.logs],
            pieces,
            list(self.heads.values()),
            [base for base in self.bases if base.key not in self.lost],
            [base for base in self.bases if base.key in self.lost],
        )

    @rule(count=st.integers(1, 6))
    def write(self, count: int) -> None:
        log = self.logs[-1]
        end = log.end + count
        log.pieces.append(Piece(log.line.key, log.end, end, self.clock))
        log.end = end
        self.heads[log.line.key] = Head(log.line.key, end, self.clock)

    @rule(elapsed=st.integers(1, 15))
    def wait(self, elapsed: int) -> None:
        self.now += elapsed

    @rule(ahead=st.integers(-60, 60))
    def set_the_servers_clock(self, ahead: int) -> None:
        self.server_ahead = ahead

    @rule()
    def back_up(self) -> None:
        log = self.logs[-1]
        base = Base(
            len(self.bases) + 1, log.line.key, begin_of(log.end), log.end, self.clock, self.now
        )
        self.bases.append(base)
        self.write(1)

    @precondition(lambda self: self.bases)
    @rule(number=st.integers(0, 99))
    def lose_or_find(self, number: int) -> None:
        self.lost ^= {self.bases[number % len(self.bases)].key}

    @rule()
    def fail_over(self) -> None:
        log = self.logs[-1]
        key, forked = len(self.logs) + 1, log.end
        log.line = replace(log.line, until=self.now)
        needs = begin_of(forked)
        line = Line(key, log.line.root, log.line.key, forked, needs, begins=self.clock)
        self.logs.append(Log(line, needs))
        self.write(forked - needs + 1)

    @rule()
    def lose_the_slot(self) -> None:
        log, key = self.logs[-1], len(self.logs) + 1
        log.line = replace(log.line, until=self.now, ended="the server removed its log")
        self.logs.append(Log(Line(key, f"r{key}", begins=self.clock), begin_of(log.end) + SEGMENT))

    @rule(behind=st.sampled_from([0, 0, 5, 300]))
    def remove(self, behind: int) -> None:
        """By a rule that saw an earlier instant of ours, or one far ahead that was called off."""
        before = self.archive()
        ruling = retention.rule(before, Promise(SPAN, self.now - behind, wanted=True))
        assert all(cut >= self.removed.get(line, 0) for line, cut in ruling.cuts.items())
        self.removed |= ruling.cuts
        after = self.archive()
        # Windows never grow by a removal: they are computed from nothing that was given up.
        assert shown(after) <= shown(before)
        young = self.young(before)
        assert young <= shown(after)
        # Snapshots that are lost now may be found, and are as useful then as before.
        assert self.young(found(before)) <= shown(found(after))
        # Snapshots that stay are enough: retention of the others takes no promise away.
        few = [base for base in after.bases if base.key in ruling.bases]
        assert young <= shown(replace(after, bases=few))

    def young(self, archive: Archive) -> set[tuple[int, int]]:
        """What is promised: both clocks say that it is not old, and the server's, when the line was
        last heard of, that it has been."""
        instants = {(n, at) for n, at in shown(archive) if at <= self.heads[n].clock}
        end = max((at for _, at in instants), default=0)
        return {(line, at) for line, at in instants if at >= min(self.now, end) - SPAN}

    @invariant()
    def the_newest_chain_stays(self) -> None:
        """Whatever was removed before: what leads to the end of the log now is whole."""
        everything = self.archive(with_removed=True)
        if rules.leads_to_end(everything, rules.routes(everything)) and not self.lost:
            archive = self.archive()
            assert rules.leads_to_end(archive, rules.routes(archive))


Removing.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
test_what_is_promised_is_restorable = Removing.TestCase


def chain(days_old: int, *, taken: int | None = None) -> Archive:
    """Two snapshots, the second `days_old` before the end of the log, which is at 100."""
    instant = 100 - days_old
    return Archive(
        [Line(1, "r", begins=0)],
        [Piece(1, 0, 40, 100)],
        [Head(1, 40, 100)],
        [
            Base(1, 1, 0, 2, 10, 10),
            Base(2, 1, 20, 21, instant, instant if taken is None else taken),
        ],
    )


def cuts(archive: Archive, now: int = 100, *, wanted: bool = True) -> dict[int, int]:
    return dict(retention.rule(archive, Promise(SPAN, now, wanted)).cuts)


def test_the_log_before_the_newest_old_snapshot_goes() -> None:
    assert cuts(chain(SPAN)) == {1: 20}
    assert cuts(chain(SPAN - 1)) == {}


def test_no_clock_alone_makes_anything_old() -> None:
    """Ours years ahead, the server's years behind, one that was set right in between."""
    assert cuts(chain(5), now=10_000) == {}
    assert cuts(chain(50, taken=95)) == {}


def test_a_gap_keeps_the_older_chain_until_a_snapshot_is_good_behind_it() -> None:
    archive = chain(SPAN)
    ended = replace(archive.lines[0], until=101, ended="removed")
    again = replace(
        archive,
        lines=[ended, Line(2, "r2", begins=110)],
        pieces=[*archive.pieces, Piece(2, 60, 80, 120)],
        heads=[Head(2, 80, 120)],
    )
    ruling = retention.rule(again, Promise(SPAN, 10_000, wanted=True))
    assert (ruling.cuts, ruling.obstacle) == ({}, retention.NO_CHAIN)
    healed = replace(again, bases=[*again.bases, Base(3, 2, 60, 62, 115, 115)])
    assert cuts(healed, now=120) == {1: 20}
    # All of the former line is out of days only when the new one has lived through these.
    assert cuts(healed, now=10_000) == {1: 20}
    lived = replace(healed, heads=[Head(2, 80, 10_000)])
    assert cuts(lived, now=10_000) == {1: 40}


def test_a_lost_snapshot_and_one_in_use_keep_their_log() -> None:
    archive = chain(SPAN)
    first, second = archive.bases
    assert cuts(replace(archive, bases=[first], lost=[second])) == {}
    assert cuts(replace(archive, bases=[second], lost=[first])) == {1: 20}
    assert cuts(replace(archive, in_use=frozenset({first.key}))) == {}


def test_switched_off_the_newest_chain_stays_for_ever() -> None:
    archive = chain(5)
    off = replace(archive, lines=[replace(archive.lines[0], until=101)])
    assert cuts(off, now=10_000, wanted=False) == {1: 20}
    assert cuts(replace(off, bases=[]), now=10_000, wanted=False) == {1: 40}
