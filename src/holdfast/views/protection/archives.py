"""Makes the API's views of archives."""

from holdfast.catalog.database.session import ReadSession
from holdfast.catalog.schema import ArchiveRow
from holdfast.catalog.storage import archives
from holdfast.domain.archive import windows as rules
from holdfast.domain.archive.windows import Window
from holdfast.kit.clock import rfc3339, rfc3339_if
from holdfast.views.shapes.addons import ArchiveGap, ArchiveView, ArchiveWindow, PitrWindow


def window(session: ReadSession, addon_pk: int) -> PitrWindow:
    archive = archives.of_addon(session, addon_pk)
    merged = _windows(session, archive) if archive else []
    if not merged:
        return PitrWindow(has_valid_window=False)
    latest = max(merged, key=lambda window: window.end)
    begin, end = rfc3339(latest.begin), rfc3339(latest.end)
    return PitrWindow(has_valid_window=True, start_timestamp=begin, end_timestamp=end)


def _windows(session: ReadSession, archive: ArchiveRow) -> list[Window]:
    return rules.windows(rules.routes(archives.facts(session, archive)))


def view(session: ReadSession, archive: ArchiveRow) -> ArchiveView:
    merged = _windows(session, archive)
    lines = {line.key: line for line in archives.facts(session, archive).lines}
    current = archives.current_line(session, archive.pk)
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
        gaps=[
            ArchiveGap(
                start_timestamp=rfc3339(gap.begin),
                end_timestamp=rfc3339(gap.end),
                reason=gap.reason,
            )
            for gap in rules.gaps(merged, lines)
        ],
        stored_until=rfc3339_if(current.head_clock if current else None),
        checked_at=rfc3339_if(archive.checked),
        behind_bytes=archive.behind,
        slack_bytes=archive.slack,
    )
