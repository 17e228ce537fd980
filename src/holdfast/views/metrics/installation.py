"""Gauges of the whole installation: what waits, what ended, who does it, and what is stored.

Ended operations are counted over the last hour and not since ever: rows age out and processes
start anew, so that a number that should only grow would fall, which Prometheus takes for a reset.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from holdfast.catalog.alarms import alarms, deliveries, monitors
from holdfast.catalog.database.session import ReadSession
from holdfast.catalog.work import measured
from holdfast.domain.operation import ANY_LANE, DRILL_LANE, Status
from holdfast.domain.units import HOUR_MS
from holdfast.views.metrics.gauge import Gauge
from holdfast.views.metrics.stored import StoredBytes

UPKEEP = ("clocks", "protection")
"""Chores that a scheduler does every few hours whatever there is."""

Family = Callable[[ReadSession, int], Iterator[Gauge]]
"""Gauges of one topic now, in ms since 1970."""


def open_operations(session: ReadSession, now: int) -> Iterator[Gauge]:
    counts = measured.counts(session)
    yield Gauge(
        "holdfast_operations",
        "Operations that wait or go on, by kind and status.",
        ("kind", "status"),
        [((kind, status), count) for kind, status, count, _ in counts],
    )
    yield Gauge(
        "holdfast_operations_oldest_wait_seconds",
        "How long the longest waiting operation of a kind has waited to begin.",
        ("kind",),
        [
            ((kind,), max(0, now - oldest) / 1000)
            for kind, status, _, oldest in counts
            if status == Status.SCHEDULED
        ],
    )


def queue(session: ReadSession, now: int) -> Iterator[Gauge]:
    """The lanes that every installation has are told when nothing waits in them, too."""
    waiting = {lane: (count, oldest) for lane, count, oldest in measured.waiting_by_lane(session)}
    lanes = {ANY_LANE: (0, now), DRILL_LANE: (0, now), **waiting}
    yield Gauge(
        "holdfast_queue_depth",
        "Operations that wait to begin, by lane: any worker's, the drills', or one machine's.",
        ("lane",),
        [((lane,), count) for lane, (count, _) in lanes.items()],
    )
    yield Gauge(
        "holdfast_queue_oldest_wait_seconds",
        "How long the longest waiting operation of a lane has waited.",
        ("lane",),
        [((lane,), max(0, now - oldest) / 1000) for lane, (_, oldest) in lanes.items()],
    )


def ended_operations(session: ReadSession, now: int) -> Iterator[Gauge]:
    ended = measured.ended_since(session, now - HOUR_MS)
    yield Gauge(
        "holdfast_operations_ended_last_hour",
        "Operations that ended within the last hour, by kind and outcome.",
        ("kind", "outcome"),
        [((kind, outcome), count) for kind, outcome, count, _ in ended],
    )
    yield Gauge(
        "holdfast_operations_ended_last_hour_seconds",
        "How long these operations went on together.",
        ("kind", "outcome"),
        [((kind, outcome), ms / 1000) for kind, outcome, _, ms in ended],
    )


def processes(session: ReadSession, now: int) -> Iterator[Gauge]:
    """A scheduler has no row of its own; what it should have done by now tells of it."""
    silence = measured.silence_by_node(session)
    yield Gauge("holdfast_worker_nodes", "Machines that have workers.", (), [((), len(silence))])
    yield Gauge(
        "holdfast_worker_silence_seconds",
        "How long no worker of a machine has beaten; they beat once a second.",
        ("node",),
        [((node,), max(0, ms) / 1000) for node, ms in silence],
    )
    due = measured.scheduler_due(session, UPKEEP)
    overdue = 0 if due is None else max(0, now - due) / 1000
    yield Gauge(
        "holdfast_scheduler_overdue_seconds",
        "For how long a scheduler should have done what none did.",
        (),
        [((), overdue)],
    )


def open_alarms(session: ReadSession, now: int) -> Iterator[Gauge]:  # noqa: ARG001
    yield Gauge(
        "holdfast_alarms_open",
        "Open alarms, by kind and severity.",
        ("kind", "severity"),
        [((kind, severity), count) for kind, severity, count in alarms.open_by_kind(session)],
    )


def watched_monitors(session: ReadSession, now: int) -> Iterator[Gauge]:  # noqa: ARG001
    yield Gauge(
        "holdfast_monitors",
        "Monitors (pings expected from elsewhere), by state: new, up, failed or late.",
        ("state",),
        [((state,), count) for state, count in monitors.by_condition(session).items()],
    )


def outbox(session: ReadSession, now: int) -> Iterator[Gauge]:
    channels = deliveries.waiting_by_channel(session)
    yield Gauge(
        "holdfast_deliveries_waiting",
        "Messages that wait to be sent to a channel.",
        ("channel",),
        [((channel,), count) for channel, _, count, _ in channels],
    )
    yield Gauge(
        "holdfast_deliveries_oldest_wait_seconds",
        "How long the longest waiting message to a channel has waited.",
        ("channel",),
        [
            ((channel,), 0 if oldest is None else max(0, now - oldest) / 1000)
            for channel, _, _, oldest in channels
        ],
    )
    yield Gauge(
        "holdfast_channel_failures",
        "Attempts to send to a channel that failed in a row.",
        ("channel",),
        [((channel,), failures) for channel, failures, _, _ in channels],
    )


FAMILIES: Sequence[Family] = (
    *(open_operations, queue, ended_operations, processes),
    *(open_alarms, watched_monitors, outbox),
)
"""Everything but the stored bytes. A new topic is a function here."""


def gauges(session: ReadSession, now: int, stored: StoredBytes) -> Iterator[Gauge]:
    for family in FAMILIES:
        yield from family(session, now)
    rows = stored.rows(session)
    sizes, copies = Counter[str](), Counter[str]()
    for row in rows:
        sizes[row.store] += row.bytes
        copies[row.store] += row.copies
    yield Gauge(
        "holdfast_store_stored_bytes",
        "Bytes of all good copies in a store, of deleted addons too; at most a minute old.",
        ("store",),
        [((store,), size) for store, size in sizes.items()],
    )
    yield Gauge(
        "holdfast_store_copies",
        "Good copies in a store.",
        ("store",),
        [((store,), count) for store, count in copies.items()],
    )
