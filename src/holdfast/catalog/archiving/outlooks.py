"""Which instants of an addon's archived log can be recovered, for its row of protection.

The end of a window that goes on is the clock of its line's head, which moves every few seconds: it
is read with the row and never written there.
"""

from collections.abc import Collection
from dataclasses import replace
from typing import Any

from sqlalchemy import select

from holdfast.catalog.archiving import archives
from holdfast.catalog.database.session import ReadSession
from holdfast.catalog.schema import ArchiveRow
from holdfast.catalog.storage import archive_facts
from holdfast.domain.archive import windows as rules

_GOES_ON = 1 << 62
"""The end of a window that grows, where its length must not matter."""

NONE: dict[str, Any] = {
    "window_begin": None,
    "window_end": None,
    "window_line": None,
    "gaps": None,
    "unreached": None,
    "has_hole": False,
}
"""The columns of an addon that was never archived."""


def columns(session: ReadSession, addon_pks: Collection[int]) -> dict[int, dict[str, Any]]:
    """By addon the columns about its archive; of those that have one."""
    rows = session.scalars(select(ArchiveRow).where(ArchiveRow.addon_pk.in_(addon_pks)))
    return {row.addon_pk: _columns_of(session, row) for row in rows}


def _columns_of(session: ReadSession, archive: ArchiveRow) -> dict[str, Any]:
    stored = archive_facts.of_archive(session, archive)
    reached = rules.routes(stored)
    line = archives.current_line(session, archive.pk)
    is_growing = line is not None and rules.leads_to_end(stored, reached)
    merged = [
        replace(window, end=_GOES_ON) if is_growing and line and window.line == line.pk else window
        for window in rules.windows(reached)
    ]
    latest = max(merged, key=lambda window: window.end, default=None)
    lost = archives.lost_since(session, line.pk) if line else None
    is_unreached = archive.wanted and line is not None and not is_growing
    return {
        "window_begin": latest and latest.begin,
        "window_end": None if latest is None or is_growing else latest.end,
        "window_line": line.pk if line and is_growing else None,
        "gaps": len(rules.gaps(merged, {line.key: line for line in stored.lines})),
        "unreached": max(line.since, lost or 0) if line and is_unreached else None,
        "has_hole": is_unreached and lost is not None,
    }
