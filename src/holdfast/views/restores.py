"""Makes the API's views of restores."""

from collections.abc import Sequence

from holdfast.catalog import backups
from holdfast.catalog.database.session import ReadSession
from holdfast.catalog.schema import Restore
from holdfast.catalog.work import operation_queries
from holdfast.domain.operation import OVER, Status
from holdfast.kit.clock import rfc3339, rfc3339_if
from holdfast.views.shapes.backups import RestoreView


def views(session: ReadSession, rows: Sequence[Restore]) -> list[RestoreView]:
    backup_ids = backups.ids_of(session, [row.backup_pk for row in rows])
    going = [row.operation for row in rows if Status(row.status) not in OVER]
    progress = operation_queries.progress_of(session, going) if going else {}
    return [
        RestoreView(
            id=row.id,
            backup_id=backup_ids[row.backup_pk],
            status=row.status,
            restore_timestamp=rfc3339(row.created),
            completed_at=rfc3339_if(row.completed),
            reason=row.reason,
            report=row.report,
            old_data_until=rfc3339_if(row.old_until),
            undoes=row.undoes,
            progress=progress.get(row.operation),
        )
        for row in rows
    ]
