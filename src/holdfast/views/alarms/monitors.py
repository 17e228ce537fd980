"""Makes the API's views of monitors. Their keys are in none but a new one's."""

from holdfast.catalog.schema import MonitorRow
from holdfast.kit.clock import rfc3339, rfc3339_if
from holdfast.kit.seal import Secret
from holdfast.views.shapes.alarms import MonitorView, NewMonitorView


def monitor_view(row: MonitorRow) -> MonitorView:
    last = row.created if row.ended is None else row.ended
    return MonitorView(
        id=row.id,
        name=row.name,
        every_seconds=row.every_ms // 1000,
        grace_seconds=row.grace_ms // 1000,
        state=row.condition,
        problem=row.problem,
        since=rfc3339_if(row.since),
        pinged_at=rfc3339_if(row.pinged),
        signal=row.signal,
        said=row.said,
        started_at=rfc3339_if(row.started),
        succeeded_at=rfc3339_if(row.succeeded),
        due_at=rfc3339(last + row.every_ms + row.grace_ms),
        created_at=rfc3339(row.created),
        updated_at=rfc3339(row.updated),
    )


def new_monitor_view(row: MonitorRow, key: Secret, base: str) -> NewMonitorView:
    """`base` is how the caller reaches us, without a slash at its end."""
    return NewMonitorView(**dict(monitor_view(row)), ping_url=f"{base}/ping/{key.reveal()}")
