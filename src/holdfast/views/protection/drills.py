"""Makes the API's views of drills, of their plans and of assertions."""

from collections.abc import Sequence

from holdfast.catalog import backups, drills
from holdfast.catalog.database.session import ReadSession
from holdfast.catalog.schema import Drill
from holdfast.catalog.work import operation_queries, workers
from holdfast.contracts.drills import Assertion
from holdfast.domain.errors import Conflict
from holdfast.domain.operation import OVER, Status
from holdfast.domain.proof.drill import Plan
from holdfast.kit.clock import rfc3339, rfc3339_if
from holdfast.kit.seal import Sealer
from holdfast.views.shapes.drills import (
    AssertionList,
    AssertionView,
    DrillFinding,
    DrillOpinion,
    DrillPlanView,
    DrillServer,
    DrillView,
)


def views(session: ReadSession, rows: Sequence[Drill]) -> list[DrillView]:
    backup_ids = backups.ids_of(session, [row.backup_pk for row in rows])
    going = [row.operation for row in rows if Status(row.status) not in OVER]
    progress = operation_queries.progress_of(session, going) if going else {}
    waiting = any(row.status == Status.SCHEDULED for row in rows)
    untaken = workers.why_no_drills(session) if waiting else None
    return [
        DrillView(
            id=row.id,
            backup_id=backup_ids[row.backup_pk],
            target_timestamp=rfc3339_if(row.instant),
            cause=row.cause,
            status=row.status,
            reason=untaken if row.status == Status.SCHEDULED else row.reason,
            verdict=row.verdict,
            findings=[DrillFinding(**finding) for finding in row.findings],
            seconds={name: ms / 1000 for name, ms in row.times.items()},
            version=row.version,
            bytes=str(row.size),
            kept_until=rfc3339_if(row.kept_until),
            opinions=[DrillOpinion(**opinion) for opinion in row.opinions],
            created_at=rfc3339(row.created),
            completed_at=rfc3339_if(row.completed),
            progress=progress.get(row.operation),
        )
        for row in rows
    ]


def server(row: Drill, sealer: Sealer) -> DrillServer:
    """How to reach the kept server. Conflict if there is none."""
    if row.connection is None or row.sealed_password is None or row.kept_until is None:
        raise Conflict(
            "the server of this drill is not kept; --keep-minutes (keepMinutes) keeps it"
        )
    return DrillServer(
        **row.connection,
        password=sealer.open(row.sealed_password, drills.context(row.id)).reveal(),
        kept_until=rfc3339(row.kept_until),
    )


def plan(chosen: Plan) -> DrillPlanView:
    return DrillPlanView(
        scheduled=chosen.scheduled,
        after_backup=chosen.after_backup,
        compare_content=chosen.compare_content,
    )


def assertions(stored: Sequence[Assertion]) -> AssertionList:
    return AssertionList(
        assertions=[
            AssertionView(
                name=assertion.name,
                text=assertion.text,
                seconds=round(assertion.seconds),
                database=assertion.database,
            )
            for assertion in stored
        ]
    )
