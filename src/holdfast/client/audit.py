"""The audit log: who changed what, and from where."""

from collections.abc import Iterator

from holdfast.client.models import Model, Words
from holdfast.client.parse import parsed_all
from holdfast.client.transport import Params, Transport, path_of


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
    """`before` absent: it was made; `after` absent: it is gone; both: what differs."""

    id: str
    at: str = ""
    request_id: str = ""
    address: str = ""
    actor: Actor = Actor()
    action: str = ""
    object: Object = Object()
    before: Words | None = None
    after: Words | None = None


class Audit:
    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def list(self, params: Params | None = None) -> Iterator[AuditEntry]:
        """The newest first. `params`: startTime, endTime, actor, kind, objectId, projectId,
        addonId."""
        return parsed_all(
            AuditEntry, self._transport.items(path_of("audit-log"), "entries", params)
        )
