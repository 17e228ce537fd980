"""Gauges of addons: what protects each, and what was proven."""

from collections.abc import Callable, Iterator, Mapping

from holdfast.catalog import drills, protected_rows
from holdfast.catalog.database.session import ReadSession
from holdfast.catalog.protected_rows import ProtectedRow
from holdfast.domain.access import Caller
from holdfast.domain.protection import Protection
from holdfast.views.metrics import archives
from holdfast.views.metrics.gauge import Gauge, seconds
from holdfast.views.metrics.stored import StoredBytes
from holdfast.views.protection.wall import judged

_LABELS = ("project", "addon", "type")

Value = Callable[[ProtectedRow, Protection, int], float | None]
"""Of an addon now, in ms since 1970; None: there is no such value."""

VALUES: Mapping[str, tuple[str, Value]] = {
    "first_recoverable_timestamp_seconds": (
        "The oldest recovery point: a good backup, or the begin of a window.",
        lambda row, _, __: seconds(row.facts.first_recoverable),
    ),
    "last_recoverable_timestamp_seconds": (
        "The newest recovery point: a good backup, or the end of a window.",
        lambda row, _, __: seconds(row.facts.last_recoverable),
    ),
    "last_recoverable_age_seconds": (
        "How old the newest recovery point is.",
        lambda row, _, now: (
            None
            if row.facts.last_recoverable is None
            else seconds(max(0, now - row.facts.last_recoverable))
        ),
    ),
    "last_good_backup_age_seconds": (
        "How old the newest good backup is.",
        lambda row, _, now: (
            None if row.facts.last_good is None else seconds(now - row.facts.last_good)
        ),
    ),
    "objective_max_age_seconds": (
        "How old the newest recovery point may be.",
        lambda _, verdict, __: seconds(verdict.max_age_ms),
    ),
    "objective_proven_within_seconds": (
        "How long ago a restore may have been proven.",
        lambda _, verdict, __: seconds(verdict.proof_within_ms),
    ),
    "last_proven_restore_timestamp_seconds": (
        "When a restore last ended well, or a drill passed.",
        lambda row, _, __: seconds(row.facts.proven),
    ),
    "last_proven_restore_seconds": (
        "How long that restore took.",
        lambda row, _, __: seconds(row.facts.proof_ms),
    ),
    "next_backup_timestamp_seconds": (
        "When the next backup is due.",
        lambda row, _, __: seconds(row.facts.next_due),
    ),
    "good_copies": (
        "Stores that hold a good copy of the newest good backup.",
        lambda row, _, __: row.facts.places,
    ),
    "lost_copies": (
        "Copies of the newest good backup that are lost.",
        lambda row, _, __: row.facts.lost,
    ),
    "stored_bytes": (
        "Bytes of all good copies, in all stores.",
        lambda row, _, __: row.bytes,
    ),
}
"""Gauges of each addon, by the end of their names: what they say, and their value."""


def gauges(session: ReadSession, caller: Caller, now: int, stored: StoredBytes) -> Iterator[Gauge]:
    """Of the addons that the caller sees."""
    addons = judged(session, caller, now, None)
    labels = {row.addon_pk: (project, row.id, row.kind) for row, _, project in addons}
    yield Gauge(
        "holdfast_addon_state",
        "1 for the state of protection that an addon is in.",
        (*_LABELS, "state"),
        [((*labels[row.addon_pk], verdict.state), 1) for row, verdict, _ in addons],
    )
    yield from archives.gauges([row for row, _, _ in addons], labels, _LABELS, now)
    for name, (text, value) in VALUES.items():
        samples = [
            (labels[row.addon_pk], number)
            for row, verdict, _ in addons
            if (number := value(row, verdict, now)) is not None
        ]
        yield Gauge(f"holdfast_addon_{name}", text, _LABELS, samples)
    yield Gauge(
        "holdfast_addon_last_drill",
        "1 for the verdict of the addon's last drill that came to one.",
        (*_LABELS, "verdict"),
        [
            ((*labels[addon_pk], verdict), 1)
            for addon_pk, verdict in drills.last_verdicts(session).items()
            if addon_pk in labels
        ],
    )
    yield Gauge(
        "holdfast_addon_last_good_backup_bytes",
        "Size of the newest good backup.",
        _LABELS,
        [
            (labels[addon_pk], size)
            for addon_pk, size in protected_rows.newest_sizes(session).items()
            if addon_pk in labels
        ],
    )
    yield Gauge(
        "holdfast_addon_store_bytes",
        "Bytes of the addon's good copies in one store; at most a minute old.",
        (*_LABELS, "store"),
        [
            ((*labels[row.addon_pk], row.store), row.bytes)
            for row in stored.rows(session)
            if row.addon_pk in labels
        ],
    )
