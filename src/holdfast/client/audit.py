"""Calls for the audit log."""

from holdfast.client.models.models import Model, Words
from holdfast.client.transport.calls import Listing, Noun, R, listing
from holdfast.client.transport.transport import Params, path_of


class Actor(Model):
    token_id: str = ""
    name: str = ""
    role: str = ""


class Object(Model):
    kind: str = ""
    id: str = ""
    project: str | None = None
    addon: str | None = None


class AuditEntry(Model):
    """`before` absent: created; `after` absent: deleted; both: the fields that differ."""

    id: str
    at: str = ""
    request_id: str = ""
    address: str = ""
    actor: Actor = Actor()
    action: str = ""
    object: Object = Object()
    before: Words | None = None
    after: Words | None = None


class AuditLog(Noun[R]):
    @listing
    def list(self, params: Params | None = None) -> Listing[AuditEntry]:
        """Lists entries, the newest first. `params`: startTime, endTime, actor, kind, objectId,
        projectId, addonId."""
        return Listing(AuditEntry, path_of("audit-log"), "entries", params or {})
