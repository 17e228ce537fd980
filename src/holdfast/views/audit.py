"""Makes the API's view of the audit log."""

from holdfast.catalog.schema import AuditEntry
from holdfast.kit.clock import rfc3339
from holdfast.views.shapes.base import Document, Shape, without_nulls


class AuditActor(Shape):
    token_id: str
    name: str
    role: str


class AuditObject(Shape):
    """`kind` is `project`, `addon`, `backup`, ...; ids are those at the time of the change."""

    kind: str
    id: str
    project: str | None = None
    addon: str | None = None


class AuditView(Shape):
    """`before` absent: created; `after` absent: deleted; both: the fields that differ; neither:
    work was ordered, whose result is elsewhere. Instants are ms since 1970."""

    id: str
    at: str
    request_id: str
    address: str
    actor: AuditActor
    action: str
    object: AuditObject
    before: Document | None = None
    after: Document | None = None


class AuditEntries(Shape):
    entries: list[AuditView]


def view(entry: AuditEntry) -> AuditView:
    return AuditView(
        id=str(entry.pk),
        at=rfc3339(entry.at),
        request_id=entry.request,
        address=entry.address,
        actor=AuditActor(token_id=entry.token, name=entry.actor, role=entry.role),
        action=entry.action,
        object=AuditObject(
            kind=entry.kind, id=entry.object, project=entry.project, addon=entry.addon
        ),
        before=without_nulls(entry.before),
        after=without_nulls(entry.after),
    )
