"""Writes what a request changed into the audit log, in the transaction of the change."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from holdfast.catalog.audit import Change, Watch
from holdfast.catalog.database.session import WriteSession
from holdfast.catalog.schema import AuditEntry
from holdfast.domain.access import Caller

T = TypeVar("T")


@dataclass(frozen=True)
class Origin:
    """Where a request came from and what it asked for. `asked` is the object that its path
    names, for verbs that order work and change no row themselves."""

    request: str
    address: str
    action: str
    asked: Change


def audited(
    session: WriteSession, caller: Caller, origin: Origin, now: int, work: Callable[[], T]
) -> T:
    """Runs `work`; adds an entry for every row that it changed, at least one."""
    watch = Watch(session)
    result = work()
    for change in watch.changes() or [origin.asked]:
        entry = AuditEntry(
            at=now,
            request=origin.request,
            address=origin.address,
            token=caller.token_id,
            actor=caller.name,
            role=caller.role,
            action=origin.action,
            kind=change.kind,
            object=change.id,
            project=change.project,
            addon=change.addon,
            before=change.before,
            after=change.after,
        )
        session.add(entry)
    return result
