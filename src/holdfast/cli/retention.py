"""`holdfast retention`: what is kept and what goes, when, and why."""

from collections.abc import Iterator, Mapping
from enum import StrEnum
from itertools import islice
from typing import Annotated, cast

import typer

from holdfast.cli.session.options import InAddon, Limit
from holdfast.cli.session.session import Session
from holdfast.cli.session.verbs import noun, verb
from holdfast.cli.when import until
from holdfast.client.models.upkeep import AddonPlan

app = noun("Retention: what is kept and what goes, when, and why.")

Document = Mapping[str, object]


class Kind(StrEnum):
    LOST = "lost"
    LEFTOVER = "leftover"
    FOREIGN = "foreign"
    DAMAGED = "damaged"


@verb(
    app,
    "plan",
    "holdfast retention plan",
    "holdfast retention plan --project shop --addon orders",
    "holdfast retention plan --going",
)
def plan(
    session: Session,
    project: Annotated[
        str | None, typer.Option("--project", "-p", help="Only this project's.")
    ] = None,
    addon: Annotated[str | None, typer.Option("--addon", "-a", help="Only this addon's.")] = None,
    going: Annotated[bool, typer.Option("--going", help="Only what will be deleted.")] = False,
) -> None:
    """Show what will be deleted, when and why; and why the rest is kept. Changes nothing."""
    with session.client() as client:
        found = [_narrowed(p, going=going) for p in client.retention.plan(project, addon)]
    if session.printer.machine:
        session.printer.rows([p for p in found if p["copies"] or not going], {})
        return
    columns = {"ADDON": "addon", "BACKUP": "backupId", "AT": "place", "SIZE": "size"}
    rows = [row for each in found for row in _rows(each)]
    session.printer.rows(rows, {**columns, "FATE": "fate", "DELETED": "when", "WHY": "why"})


def _narrowed(found: AddonPlan, *, going: bool) -> Document:
    document = found.document()
    if not going:
        return document
    copies = cast("list[Document]", document.get("copies") or [])
    return {**document, "copies": [copy for copy in copies if copy.get("deletesAt")]}


def _rows(found: Document) -> Iterator[Document]:
    """Copies with what a person wants to know first."""
    project, addon = (cast("Document", found.get(name) or {}) for name in ("project", "addon"))
    gone = " (deleted)" if addon.get("deleted") else ""
    for copy in cast("list[Document]", found.get("copies") or []):
        reasons = cast("list[str]", copy.get("reasons") or [])
        yield {
            **copy,
            "addon": f"{project.get('id')}/{addon.get('id')}{gone}",
            "place": copy.get("destinationId") or "(server)",
            "when": _when(copy),
            "why": "; ".join(reasons + _trouble(copy)),
        }


def _when(copy: Document) -> str:
    goes, earliest = (str(copy.get(name) or "") for name in ("deletesAt", "earliestAt"))
    if goes:
        return f"{_short(goes)} ({until(goes)})"
    return f"not before {_short(earliest)}" if earliest else "never by itself"


def _trouble(copy: Document) -> list[str]:
    deletion = cast("Document", copy.get("deletion") or {})
    error = deletion.get("lastError")
    return [f"tried {deletion.get('tries')} times: {error}"] if error else []


def _short(instant: str) -> str:
    return instant[:16].replace("T", " ")


@verb(app, "deletions", "holdfast retention deletions --open")
def deletions(
    session: Session,
    only_open: Annotated[
        bool, typer.Option("--open", help="Only those that are neither done nor called off.")
    ] = False,
    limit: Limit = None,
) -> None:
    """List what was deleted, is being deleted or was called off, and why; newest first."""
    with session.client() as client:
        found = client.retention.deletions(only_open=only_open)
        rows = [each.document() for each in islice(found, limit)]
    columns = {"BACKUP": "backupId", "AT": "place", "STATE": "state", "DUE": "due", "WHY": "why"}
    session.printer.rows(rows, columns, _deletion)


def _deletion(row: Document) -> Document:
    due = str(row.get("dueAt") or "")
    over = row.get("doneAt")
    error = [f"tried {row.get('tries')} times: {row['lastError']}"] if row.get("lastError") else []
    off = [f"called off: {row['calledOff']}"] if row.get("calledOff") else []
    return {
        **row,
        "place": row.get("destinationId") or "(server)",
        "due": _short(due) if over else f"{_short(due)} ({until(due)})",
        "why": "; ".join([str(row.get("reason")), *off, *error]),
    }


@verb(app, "findings", "holdfast retention findings --kind lost")
def findings(
    session: Session,
    kind: Annotated[Kind | None, typer.Option("--kind", help="Only of this kind.")] = None,
    limit: Limit = None,
) -> None:
    """List what inventories found: lost backups, leftovers of dead attempts, foreign objects."""
    with session.client() as client:
        rows = [each.document() for each in islice(client.retention.findings(kind), limit)]
    columns = {"KIND": "kind", "AT": "place", "UNDER": "prefix", "OBJECTS": "objects"}
    session.printer.rows(rows, {**columns, "SIZE": "bytes", "SEEN": "seenAt", "WHY": "why"}, _found)


def _found(row: Document) -> Document:
    outcome = [f"settled: {row['outcome']}"] if row.get("outcome") else []
    return {
        **row,
        "place": row.get("destinationId") or "(server)",
        "why": "; ".join([str(row.get("reason")), *outcome]),
    }


@verb(
    app,
    "audit",
    "holdfast retention audit",
    "holdfast retention audit --destination off-site",
    "holdfast retention audit --read-data",
    "holdfast retention audit --show",
)
def audit(
    session: Session,
    destination: Annotated[
        str | None, typer.Option("--destination", "-d", help="Only this one; else every store.")
    ] = None,
    read_data: Annotated[
        bool, typer.Option("--read-data", help="Read every byte of all backups, too.")
    ] = False,
    show: Annotated[bool, typer.Option("--show", help="Only show when it was done.")] = False,
) -> None:
    """Have stores compared with the catalogue as soon as possible; see `retention findings`."""
    if show and (destination is not None or read_data):
        raise typer.BadParameter("--show asks for nothing to be done")
    with session.client() as client:
        if not show:
            client.retention.audit(destination, read_data=read_data)
        rows = [each.document() for each in client.retention.audits()]
    columns = {"STORE": "place", "DONE": "endedAt", "NEXT": "next", "PROBLEM": "problem"}
    session.printer.rows(rows, columns, _audit)


def _audit(row: Document) -> Document:
    due = str(row.get("dueAt") or "")
    soon = until(due)
    place = row.get("destinationId") or "(server)"
    return {**row, "place": place, "next": "now" if soon.endswith("ago") else soon}


@verb(
    app,
    "prune",
    "holdfast retention prune --project shop --addon orders",
    "holdfast retention prune -p shop -a orders --share 1",
)
def prune(
    session: Session,
    where: InAddon,
    share: Annotated[
        float | None,
        typer.Option("--share", help="The most of its backups that may go: up to 1, all."),
    ] = None,
) -> None:
    """Mark an addon's expired backups now; they are deleted after the grace period."""
    if share is not None and not 0 < share <= 1:
        raise typer.BadParameter("--share is a number above 0, up to 1")
    with session.client() as client:
        done = client.retention.prune(*where.of(session), share)
    left = f"; {done.expired} expired ones wait for later runs" if done.expired else ""
    off = f", {done.called_off} called off" if done.called_off else ""
    session.printer.told(done.document(), f"{done.marked} marked for deletion{off}{left}")
