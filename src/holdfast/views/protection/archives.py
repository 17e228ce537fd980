"""Makes the API's views of archives."""

from collections.abc import Callable, Iterable
from dataclasses import asdict

from holdfast.catalog.archiving import archives
from holdfast.catalog.database.session import ReadSession
from holdfast.catalog.schema import ArchivePoint, ArchiveRow
from holdfast.catalog.storage import archive_facts
from holdfast.contracts.archive import Change
from holdfast.domain.archive import windows as rules
from holdfast.kit.clock import rfc3339, rfc3339_if
from holdfast.views.shapes.addons import (
    ArchiveGap,
    ArchiveView,
    ArchiveWindow,
    Changes,
    ChangeView,
    Marked,
    OpenArchiveGap,
    PitrWindow,
    TableChangeView,
)

_MAX_BASES = 200


def window(session: ReadSession, addon_pk: int) -> PitrWindow:
    archive = archives.of_addon(session, addon_pk)
    stored = archive_facts.of_archive(session, archive) if archive else None
    merged = rules.windows(rules.routes(stored)) if stored else []
    if not merged:
        return PitrWindow(has_valid_window=False)
    latest = max(merged, key=lambda window: window.end)
    begin, end = rfc3339(latest.begin), rfc3339(latest.end)
    return PitrWindow(has_valid_window=True, start_timestamp=begin, end_timestamp=end)


def view(session: ReadSession, archive: ArchiveRow) -> ArchiveView:
    stored = archive_facts.of_archive(session, archive)
    reached = rules.routes(stored)
    merged = rules.windows(reached)
    lines = {line.key: line for line in stored.lines}
    current = archives.current_line(session, archive.pk)
    gaps = rules.gaps(merged, lines)
    open_gap = rules.open_gap(stored, reached)
    return ArchiveView(
        enabled=archive.wanted,
        status=archive.state,
        reason=archive.reason,
        days=archive.days,
        interval_seconds=archive.interval_s,
        unbounded=archive.unbounded,
        slot=archive.slot,
        windows=[
            ArchiveWindow(start_timestamp=rfc3339(w.begin), end_timestamp=rfc3339(w.end))
            for w in merged
        ],
        bases=[rfc3339(instant) for instant in sorted({route.base.instant for route in reached})][
            -_MAX_BASES:
        ],
        gaps=[
            ArchiveGap(
                start_timestamp=rfc3339(gap.begin),
                end_timestamp=rfc3339(gap.end),
                reason=gap.reason,
            )
            for gap in gaps
        ],
        open_gap=(
            OpenArchiveGap(start_timestamp=rfc3339(open_gap.begin), reason=open_gap.reason)
            if open_gap
            else None
        ),
        old_log_goes_at=rfc3339_if(min(archives.marks_due(session, archive.pk), default=None)),
        old_log_stays=archive.obstacle,
        stored_until=rfc3339_if(current.head_clock if current else None),
        checked_at=rfc3339_if(archive.checked),
        behind_bytes=archive.behind,
        slack_bytes=archive.slack,
    )


def marked(point: ArchivePoint, show: Callable[[int], str]) -> Marked:
    position, timestamp = show(point.position), rfc3339(point.instant)
    return Marked(name=point.name, position=position, timestamp=timestamp)


def changes(
    begin: int, end: int, listed: Iterable[Change], show: Callable[[int], str], line: str | None
) -> Changes:
    """`show` writes a position as the engine's people do; `line`: None for the newest one."""
    views = [
        ChangeView(
            timestamp=rfc3339(change.commit.instant),
            position=show(change.commit.position),
            transaction=change.commit.transaction or None,
            tables=[TableChangeView(**asdict(table)) for table in change.tables],
            defines=change.defines,
            statement=change.statement or None,
            name=change.point or None,
            is_whole=change.is_whole,
            line=line,
        )
        for change in listed
    ]
    return Changes(start_timestamp=rfc3339(begin), end_timestamp=rfc3339(end), changes=views)
