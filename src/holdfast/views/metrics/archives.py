"""Gauges of archived logs: what is at stake, what can be recovered, and what the server holds back.

All are columns of rows that are read with the addon; a log of thousands of pieces is not looked at.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence

from holdfast.catalog.protected_rows import ProtectedRow
from holdfast.domain.archive.archiving import Archiving
from holdfast.views.metrics.gauge import Gauge, seconds

Value = Callable[[Archiving, int], float | None]
"""Of an archive now, in ms since 1970; None: there is no such value."""

FOLLOWED: Mapping[str, tuple[str, Value]] = {
    "at_stake_seconds": (
        "How long ago all of the log was stored last: what is lost with the server.",
        lambda archiving, now: seconds(max(0, now - archiving.stored_until)),
    ),
    "interval_seconds": (
        "Every so many seconds the log is stored.",
        lambda archiving, _: archiving.interval_s,
    ),
    "behind_bytes": (
        "Bytes of log that the server has and the store has not.",
        lambda archiving, _: archiving.behind,
    ),
    "slack_bytes": (
        "Bytes that the server writes before it lets go of log that is not stored.",
        lambda archiving, _: None if archiving.slack is None else max(0, archiving.slack),
    ),
    "slack_limit_bytes": (
        "Bytes of log that the server keeps at most.",
        lambda archiving, _: archiving.slack_limit,
    ),
    "unreached_seconds": (
        "For how long what is stored leads nowhere, because no good snapshot was taken since.",
        lambda archiving, now: seconds(
            0 if archiving.unreached is None else max(0, now - archiving.unreached)
        ),
    ),
}
"""Gauges of logs that are archived on, of servers that are not paused."""

STORED: Mapping[str, tuple[str, Value]] = {
    "window_start_timestamp_seconds": (
        "The oldest instant of the newest window: any from here can be recovered.",
        lambda archiving, _: seconds(archiving.window_begin),
    ),
    "window_end_timestamp_seconds": (
        "The newest instant of the newest window, by the server's clock.",
        lambda archiving, _: seconds(archiving.window_end),
    ),
    "gaps": (
        "Gaps between the windows, in which no instant can be recovered.",
        lambda archiving, _: archiving.gaps,
    ),
    "stored_bytes": (
        "Bytes of the archived log in the store.",
        lambda archiving, _: archiving.stored,
    ),
}
"""Gauges of all archived logs."""


def gauges(
    rows: Sequence[ProtectedRow],
    labels: Mapping[int, tuple[str, ...]],
    names: tuple[str, ...],
    now: int,
) -> Iterator[Gauge]:
    """Of addons that have an archive; `labels` by key of the addon, their names are `names`."""
    stored = [(labels[row.addon_pk], row.facts.archiving) for row in rows if row.facts.archiving]
    followed = [
        (labels[row.addon_pk], row.facts.archiving)
        for row in rows
        if row.facts.archiving and row.facts.archiving.wanted and row.facts.paused is None
    ]
    yield Gauge(
        "holdfast_addon_archive_state",
        "1 for the state that an archive is in: starting, streaming or waiting.",
        (*names, "state"),
        [((*of, archiving.state), 1) for of, archiving in followed],
    )
    for values, archives in ((FOLLOWED, followed), (STORED, stored)):
        for name, (text, value) in values.items():
            samples = [
                (of, number)
                for of, archiving in archives
                if (number := value(archiving, now)) is not None
            ]
            yield Gauge(f"holdfast_addon_archive_{name}", text, names, samples)
