"""A year of a fleet: nothing fires twice or is missed outside outages, nothing good is lost."""

from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import select

from fixtures.timetables import DAY, HOUR
from fixtures.year import POLICY, START, STEP, Record, World
from holdfast.catalog.schema import Copy, Deletion, Finding, Occurrence, Schedule


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("seed", [1])
def test_a_year_of_three_hundred_addons(tmp_path: Path, seed: int) -> None:
    live_and_look_back(World(tmp_path, addons=300, days=365, seed=seed))


@pytest.mark.parametrize("seed", [2])
def test_two_weeks_of_thirty_addons(tmp_path: Path, seed: int) -> None:
    live_and_look_back(World(tmp_path, addons=30, days=14, seed=seed))


def live_and_look_back(world: World) -> None:
    outages = list(world.planned)
    world.run()
    world.planned = outages
    print(dict(world.counts), len(world.lives), "schedules")
    assert world.violations == []
    every_instant_was_decided_once(world)
    every_deletion_is_explained(world)
    the_newest_good_is_there_and_the_expired_are_not(world)
    world.catalog.close()


def instants(rule: Schedule, begin: int, end: int) -> list[int]:
    """By looking at every step of the calendar."""
    found = []
    for at in range(begin - begin % STEP + STEP, end + 1, STEP):
        moment = datetime.fromtimestamp(at // 1000, tz=UTC)
        if (
            moment.minute in rule.minute
            and (not rule.hour or moment.hour in rule.hour)
            and (not rule.day or moment.weekday() in rule.day)
        ):
            found.append(at)
    return found


def every_instant_was_decided_once(world: World) -> None:
    with world.catalog.read() as session:
        rules = list(session.scalars(select(Schedule)))
        decided: dict[int, list[Occurrence]] = {}
        for row in session.scalars(select(Occurrence).order_by(Occurrence.pk)):
            decided.setdefault(row.schedule_pk, []).append(row)
    outcomes: Counter[str] = Counter()
    for rule in rules:
        begin, end = world.lives[rule.pk]
        expected = instants(rule, begin, min(end, world.real))
        seen: Counter[int] = Counter()
        for row in decided.get(rule.pk, []):
            covered = instants(rule, row.since - STEP, row.instant)
            assert len(covered) == row.count, (rule.interval, row.reason)
            early = [at for at in covered if at <= begin]  # a clock went back behind its creation
            assert early == [] or any(each.skew < 0 for each in world.planned)
            covered = covered[len(early) :]
            seen.update(covered)
            outcomes[row.outcome] += row.count
            if row.outcome == "missed":
                assert all(in_trouble(world, at) for at in covered), "missed without an outage"
            elif row.outcome == "skipped":
                assert row.count == 1
                assert backlog(world, rule, row), "skipped although nothing was in the way"
            elif not in_trouble(world, row.instant):
                assert row.decided - row.instant <= STEP, "late without an outage"
        assert seen == Counter(dict.fromkeys(expected, 1)), f"{rule.interval} {rule.pk}"
    print(dict(outcomes), "instants")
    assert outcomes["fired"] > 2 * outcomes["skipped"]
    assert outcomes["missed"] > 0


def in_trouble(world: World, at: int) -> bool:
    """The service was out then, or the clock showed something else around then."""
    for each in world.planned:
        skewed = (each.begin + each.skew, each.end + each.skew)
        first, last = min(each.begin, skewed[0]) - STEP, max(each.end, skewed[1]) + STEP
        if each.what == "clock" and first <= at <= last:
            return True
    return world.out("service", at)


def backlog(world: World, rule: Schedule, row: Occurrence) -> bool:
    """A backup of this addon, asked for before, had not begun then; or the clock was wrong."""
    waiting = [
        r for r in world.by_addon[rule.addon_pk]
        if r.asked < row.decided and (r.ended is None or r.ended >= row.decided)
    ]  # fmt: skip
    return bool(waiting) or in_trouble(world, row.instant)


def every_deletion_is_explained(world: World) -> None:
    """Each removal was checked as it happened; here that its row waited and says why."""
    by_uid = {folder.split("/")[3]: record for folder, record in world.records.items()}
    with world.catalog.read() as session:
        rows = list(session.scalars(select(Deletion)))
        uids = {row.pk: row.prefix.split("/")[3] for row in rows}
        late = [row for row in rows if row.done is None]
    assert [row.last_error for row in late if world.real - row.created > 3 * DAY] == []
    shown_again = {uids[row.pk] for row in rows if "needs force" in (row.called_off or "")}
    removed = 0
    for row in rows:
        record = by_uid[uids[row.pk]]
        if row.called_off is not None or row.done is None:
            continue
        removed += 1
        assert record.removed is not None
        if record.by_hand and uids[row.pk] not in shown_again:
            assert "deleted by hand by tester" in row.reason
        else:
            assert "was asked for at" in row.reason
            assert row.begun is not None
            assert "grace" in row.reason
    assert removed > 0
    assert world.counts["removed"] >= removed
    assert_shares(world, rows, by_uid)


def assert_shares(world: World, rows: list[Deletion], by_uid: dict) -> None:
    """One run marks a quarter of an addon's backups at most, but at least one."""
    runs: Counter[tuple[int, int]] = Counter()
    for row in rows:
        record = by_uid[row.prefix.split("/")[3]]
        if "was asked for at" in row.reason:
            runs[record.addon, row.created] += 1
    for (addon, at), marked in runs.items():
        there = [
            r for r in world.by_addon[addon]
            if r.removed is None or r.removed >= at - HOUR - 40 * 72 * STEP
        ]  # fmt: skip
        assert marked <= max(1, int(len(there) * POLICY.share))


def the_newest_good_is_there_and_the_expired_are_not(world: World) -> None:
    held = 0
    for addon, records in world.by_addon.items():
        good = [r for r in records if r.state == "good" and not r.vanished and not r.by_hand]
        there = [r for r in good if world.stores[r.place].holds(r)]
        if good:
            held += 1
            assert max(r.order for r in good) == max(r.order for r in there), addon
        if any(r.vanished for r in records):
            continue  # then what expired may stay
        free = good_again(records)
        for place in world.stores:
            again = good_again(r for r in records if r.place == place)
            if free is None or again is None:
                continue  # then what expired stays
            here = [r for r in good if r.place == place]
            long_ago = world.real - patience(len(records))
            stale = [
                r for r in here
                if r.removed is None and not r.retained
                and max(r.expires, free, again, followed(r, here, world.real)) < long_ago
            ]  # fmt: skip
            assert stale == [], f"{addon} holds what should have gone long ago"
    assert held > len(world.by_addon) // 2
    with world.catalog.read() as session:
        marked_lost = len(list(session.scalars(select(Copy.pk).where(Copy.lost.is_not(None)))))
        kinds = Counter(session.scalars(select(Finding.kind)))
    print(marked_lost, "lost", dict(kinds), "findings")
    assert kinds["foreign"] == 0
    assert world.real > START


def good_again(records: Iterable[Record]) -> int | None:
    """Since when the newest of them is good and age may be a reason; None: it is not."""
    over = [r for r in records if r.state in ("good", "failed") and not r.by_hand]
    since: int | None = 0
    for record in sorted(over, key=lambda r: r.order):
        if record.state == "failed":
            since = None
        elif since is None:
            since = record.done
    return since


def followed(record: Record, good: Iterable[Record], now: int) -> int:
    """Since when it is not the newest good one there."""
    return min((r.done for r in good if r.order > record.order), default=now)


def patience(records: int) -> int:
    """As many looks as it takes to mark all of so many, a share at a time, and to remove them."""
    looks = 0
    while records > 0:
        records -= max(1, int(records * POLICY.share))
        looks += 1
    return looks * POLICY.every_ms + POLICY.grace_ms + DAY
