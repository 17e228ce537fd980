"""The audit log as the API shows it."""

from typing import Any, cast

from holdfast.catalog.schema import AuditEntry
from holdfast.kit.clock import rfc3339
from holdfast.views.shapes.base import Document, Shape


class AuditActor(Shape):
    token_id: str
    name: str
    role: str


class AuditObject(Shape):
    """`kind` is that of the thing: `project`, `addon`, `backup`, ...; ids as they were then."""

    kind: str
    id: str
    project: str | None = None
    addon: str | None = None


class AuditView(Shape):
    """`before` absent: it was made; `after` absent: it is gone; both: what differs; neither: work
    was ordered, and what becomes of that is told elsewhere. Instants are ms since 1970."""

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
        before=_whole(entry.before),
        after=_whole(entry.after),
    )


def _whole(value: Any) -> Any:
    """What is not there is left out here too, however deep: no answer has a null."""
    match value:
        case dict():
            found = cast("Document", value).items()
            return {name: _whole(each) for name, each in found if each is not None}
        case list():
            return [_whole(each) for each in cast("list[Any]", value)]
        case _:
            return value
