"""Drills: what is found when a backup is restored into a throwaway server, and when to do it.

A drill proves that one recovery point restores, by doing it. What speaks against the machine and
not against the backup (an extension that is not installed here) makes it inconclusive, never
failed.
"""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from holdfast.domain.evidence import Check
from holdfast.domain.units import DAY_MS, HOUR_MS, show_bytes, show_duration

MAX_KEEP_MINUTES = 7 * 24 * 60
MAX_ASSERTIONS = 50
MAX_ASSERTION_SECONDS = 300
_NAMED = 5
"""How many differences a finding names; it counts the others."""
RETRY_MS = 6 * HOUR_MS
"""When an addon is drilled again by its plan, after a drill that came to no verdict."""
OLDER_EVERY = 5
"""Every fifth drill of a plan takes an older backup instead of the newest."""
INSTANT_EVERY = 3
"""Every third takes an instant where there is an archive."""


class Cause(StrEnum):
    REQUEST = "request"
    PLAN = "plan"
    BACKUP = "backup"  # the addon's plan wants one after each


class Verdict(StrEnum):
    PASSED = "passed"
    FAILED = "failed"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True)
class Finding:
    """One thing that was judged: its name, the verdict on it, and what was found."""

    name: str
    verdict: Verdict
    found: str

    def document(self) -> dict[str, object]:
        return {"name": self.name, "verdict": str(self.verdict), "found": self.found}


@dataclass(frozen=True)
class Plan:
    """Which drills an addon has by itself: `scheduled` within its objective, `after_backup` after
    each of them. `compare_content`: the restored data is dumped and compared, table by table."""

    scheduled: bool = True
    after_backup: bool = False
    compare_content: bool = True


def of_check(check: Check) -> Finding:
    verdict = Verdict.PASSED if check.passed else Verdict.FAILED
    return Finding(check.name, verdict, check.found)


def verdict(findings: Collection[Finding]) -> Verdict:
    """The verdict of a drill: failed if anything is, else inconclusive if anything is."""
    verdicts = {finding.verdict for finding in findings}
    for worst in (Verdict.FAILED, Verdict.INCONCLUSIVE):
        if worst in verdicts:
            return worst
    return Verdict.PASSED


def summary(findings: Sequence[Finding]) -> str:
    """What decided the verdict, in one line."""
    worst = verdict(findings)
    if worst is Verdict.PASSED:
        return f"{len(findings)} findings, all passed"
    return "; ".join(f"{f.name}: {f.found}" for f in findings if f.verdict is worst)


def compared(differences: Sequence[str], tables: int, rows: int) -> Finding:
    """The restored objects and rows against those of the manifest."""
    name = "objects and rows are those that were backed up"
    if differences:
        return Finding(name, Verdict.FAILED, _some(differences))
    return Finding(name, Verdict.PASSED, f"{tables} tables with {rows} rows")


def left_out(skipped: Sequence[str], warned: Collection[str]) -> Finding:
    """Objects without data that could not be made. `warned` are the texts of the warnings that the
    backup itself was completed with: what they name is no news."""
    name = "every object could be made"
    news = [item for item in skipped if not any(text and text in item for text in warned)]
    if news:
        return Finding(name, Verdict.INCONCLUSIVE, _some(news))
    if skipped:
        said = "left out, as the backup had warned: "
        return Finding(name, Verdict.PASSED, said + _some(skipped))
    return Finding(name, Verdict.PASSED, "all were")


def same_content(want: Mapping[str, object], have: Mapping[str, object], what: str) -> Finding:
    """What the backup holds of each table against what the restored server was dumped to."""
    differ = [
        f"{table}: {'differs' if table in have else 'is missing'}"
        for table, content in sorted(want.items())
        if have.get(table) != content
    ]
    differ += [f"{table}: is not in the backup" for table in sorted(have.keys() - want.keys())]
    if differ:
        return Finding(what, Verdict.FAILED, _some(differ))
    return Finding(what, Verdict.PASSED, f"{len(want)} tables and sequences are equal")


def within(took_ms: int, limit_ms: int | None) -> Finding | None:
    """The time of the restore against the objective; None without one."""
    if limit_ms is None:
        return None
    verdict_of_time = Verdict.PASSED if took_ms <= limit_ms else Verdict.FAILED
    found = f"{show_duration(took_ms)}; objective {show_duration(limit_ms)}"
    return Finding("a restore takes no longer than its objective", verdict_of_time, found)


def predicted_ms(took_ms: int, size: int, size_now: int) -> int:
    """How long a restore of `size_now` bytes takes, if it took `took_ms` for `size` bytes."""
    return took_ms if size <= 0 else round(took_ms * max(1.0, size_now / size))


def room_needed(size: int) -> int:
    """Bytes that must be free before a drill of `size` bytes of data begins."""
    return round(size * 1.2) + (256 << 20)


def lacks_room(needed: int, free: int) -> str:
    return f"{show_bytes(needed)} are needed for the throwaway copy, {show_bytes(free)} are free"


def due_at(seed: str, first_good: int, proven: int | None, within_ms: int) -> int:
    """When the plan drills an addon next, in ms since 1970: within its objective, with a margin for
    a second try, and spread so that not all addons have their turn at once. `seed`: of the addon.
    """
    margin = min(7 * DAY_MS, within_ms // 2)
    spread = _number(seed) % max(1, margin // 2)
    return (first_good if proven is None else proven) + within_ms - margin + spread


def takes_older(drills: int) -> bool:
    """Whether the plan's next drill of an addon, after so many, takes any backup."""
    return drills % OLDER_EVERY == OLDER_EVERY - 1


def takes_instant(drills: int) -> bool:
    """Whether it takes any instant of an archive's window, if there is one."""
    return drills % INSTANT_EVERY == INSTANT_EVERY - 1 and not takes_older(drills)


def instant_of(seed: str, drills: int, windows: Sequence[tuple[int, int]]) -> int:
    """Any instant of the windows, which are given by their first and last one, in ms since 1970."""
    number = any_of(seed, drills, sum(end - begin + 1 for begin, end in windows))
    for begin, end in windows:
        if begin + number <= end:
            return begin + number
        number -= end - begin + 1
    raise ValueError("no windows were given")


def any_of(seed: str, drills: int, count: int) -> int:
    """One of `count`, another for each addon and drill, and the same when asked again."""
    return _number(f"{seed}/{drills}") % count


def _number(seed: str) -> int:
    return int.from_bytes(hashlib.sha256(seed.encode()).digest()[:6])


def _some(sentences: Sequence[str]) -> str:
    named = "; ".join(sentences[:_NAMED])
    more = len(sentences) - _NAMED
    return f"{named}; and {more} more" if more > 0 else named
