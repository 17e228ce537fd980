"""Whatever happens to an addon, retention never takes its last good copy, nor that of a place.

A machine of rows and objects: backups that succeed, fail and are aborted, at several places;
objects that vanish and return behind the catalogue's back; clocks that jump; schedules whose
retention changes; `retain`; prune runs with grace, and deletions that are carried out as the
pruner does it: judge again, look at the floor, then remove. There is no state but rows, so a
restart is nothing.
"""

from dataclasses import dataclass, replace

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from holdfast.domain.retention.rules import (
    DAY_MS,
    HeldCopy,
    State,
    expiry,
    floor,
    is_last_good,
    judge,
    within_share,
)

PLACES = (None, 1, 2)
OUTCOMES = st.sampled_from([*State, State.GOOD, State.GOOD, State.GOOD, State.GOOD])
GRACE = DAY_MS
JUMP = 800 * DAY_MS


@dataclass
class Row:
    held: HeldCopy
    due: int | None = None  # marked: its deletion waits until then
    gone: bool = False


class Life(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.now = 10_000 * DAY_MS
        self.days: int | None = 1
        self.rows: dict[int, Row] = {}
        self.stored: set[int] = set()
        self.backup = self.key = 0

    # What happens around retention.

    @rule(first=st.integers(0, 2), outcomes=st.lists(OUTCOMES, min_size=1, max_size=3))
    def take(self, first: int, outcomes: list[State]) -> None:
        self.backup += 1
        for place, outcome in zip(PLACES[first:], outcomes, strict=False):
            state = State.GOOD if outcome is State.LOST else outcome
            self.key += 1
            expires = expiry(self.now, self.days)
            self.rows[self.key] = Row(HeldCopy(self.key, self.backup, place, state, expires))
            if state is State.GOOD:
                self.stored.add(self.key)

    @rule(days=st.sampled_from([1, 2, 7, None]))
    def change_the_schedule(self, days: int | None) -> None:
        self.days = days

    @rule(days=st.integers(1, 10))
    def pass_time(self, days: int) -> None:
        self.now += days * DAY_MS

    @rule(by=st.integers(-JUMP, JUMP))
    def let_the_clock_jump(self, by: int) -> None:
        self.now += by

    @precondition(lambda self: self.living())
    @rule(data=st.data(), what=st.sampled_from(["retain", "use", "finish", "vanish", "return"]))
    def meddle(self, data: st.DataObject, what: str) -> None:
        row = data.draw(st.sampled_from(self.living()))
        held = row.held
        if what == "retain":
            row.held, row.due = replace(held, retained=True), None
        elif what == "use":
            row.held = replace(held, in_use=not held.in_use)
        elif what == "finish" and held.state is State.MAKING:
            row.held = replace(held, state=State.BAD)
        elif what == "vanish":
            self.stored.discard(held.key)
        elif what == "return" and held.state in (State.GOOD, State.LOST):
            self.stored.add(held.key)

    @rule(place=st.sampled_from(PLACES))
    def lose_the_newest(self, place: int | None) -> None:
        """Of one place; nobody knows yet."""
        there = [row.held.key for row in self.living() if row.held.destination_pk == place]
        self.stored -= set(sorted(self.stored.intersection(there))[-1:])

    @rule(place=st.sampled_from(PLACES))
    def lose_sight_of_a_place(self, place: int | None) -> None:
        """A wrong mount: everything seems lost, and is there again afterwards."""
        there = {row.held.key for row in self.living() if row.held.destination_pk == place}
        hidden = self.stored & there
        self.stored -= hidden
        self.audit()
        self.stored |= hidden

    @rule()
    def audit(self) -> None:
        for row in self.living():
            if row.held.state in (State.GOOD, State.LOST):
                there = row.held.key in self.stored
                row.held = replace(row.held, state=State.GOOD if there else State.LOST)

    # What retention does.

    def living(self) -> list[Row]:
        return [row for row in self.rows.values() if not row.gone]

    def copies(self) -> list[HeldCopy]:
        return [row.held for row in self.living()]

    def past(self) -> list[HeldCopy]:
        return [r.held for r in self.rows.values() if r.gone and r.held.state is State.BAD]

    @rule(share=st.sampled_from([0.1, 0.25, 1.0]))
    def prune(self, share: float) -> None:
        verdicts = judge(self.copies(), self.now, self.past())
        for verdict in verdicts:
            if verdict.keep:
                self.rows[verdict.held.key].due = None
        waiting = {row.held.key for row in self.living() if row.due is not None}
        fresh = [each for each in verdicts if each.held.key not in waiting]
        for verdict in within_share(fresh, share):
            self.rows[verdict.held.key].due = self.now + GRACE

    @rule()
    def prune_wait_and_carry_out(self) -> None:
        self.prune(1.0)
        self.now += GRACE
        self.carry_out()

    @rule()
    def carry_out(self) -> None:
        for row in self.living():
            if row.due is not None and row.due <= self.now:
                self.remove(row)

    def remove(self, row: Row) -> None:
        while True:
            mine = [v for v in judge(self.copies(), self.now, self.past()) if v.held == row.held]
            if mine[0].keep:
                row.due = None
                return
            lost = [each for each in floor(self.copies(), row.held) if each.key not in self.stored]
            if not lost:
                break
            for each in lost:
                self.rows[each.key].held = replace(each, state=State.LOST)
        self.go(row)

    def go(self, row: Row) -> None:
        before = self.truly_good()
        row.gone = True
        self.stored.discard(row.held.key)
        after = self.truly_good()
        assert bool(before) == bool(after), "the last good copy of the addon was taken"
        for place in PLACES:
            kept = any(each.destination_pk == place for each in after)
            assert kept == any(each.destination_pk == place for each in before), (
                "the last one at a place"
            )
        assert not row.held.retained
        assert not row.held.in_use
        assert row.held.expires is not None
        assert row.held.expires <= self.now

    def truly_good(self) -> list[HeldCopy]:
        """Completed once, not removed, and the store has it: whatever our rows believe."""
        return [
            row.held
            for row in self.living()
            if row.held.state in (State.GOOD, State.LOST) and row.held.key in self.stored
        ]

    @precondition(lambda self: self.living())
    @rule(data=st.data())
    def delete_by_hand(self, data: st.DataObject) -> None:
        """Without force: not the last good one."""
        backup = data.draw(st.sampled_from(self.living())).held.backup
        doomed = [row for row in self.living() if row.held.backup == backup]
        if is_last_good(self.copies(), backup):
            return
        for row in doomed:
            row.gone = True
            self.stored.discard(row.held.key)

    @invariant()
    def the_newest_failure_is_never_forgotten(self) -> None:
        """While it is the newest of all, every good one is kept."""
        known = [r.held for r in self.rows.values() if not (r.gone and r.held.state is State.GOOD)]
        newest = max((h for h in known if h.state in (State.BAD, State.GOOD)), default=None,
                     key=lambda held: held.backup)  # fmt: skip
        if newest is None or newest.state is State.GOOD:
            return
        good = [h for h in self.copies() if h.state is State.GOOD]
        if any(h.backup == newest.backup for h in good):
            return
        for verdict in judge(self.copies(), self.now, self.past()):
            assert verdict.keep or verdict.held.state is not State.GOOD


TestLife = Life.TestCase
TestLife.settings = settings(max_examples=500, stateful_step_count=40, deadline=None)
