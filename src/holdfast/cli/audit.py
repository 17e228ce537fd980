"""`holdfast audit`: lists the changes made through the API, from the audit log."""

from dataclasses import dataclass
from itertools import islice
from typing import Annotated

import typer

from holdfast.cli.session.options import Limit
from holdfast.cli.session.session import Session
from holdfast.cli.session.verbs import noun, verb
from holdfast.cli.terminal.text import flatten
from holdfast.client.audit import AuditEntry

app = noun("The audit log: who changed what, and from where.")

_COLUMNS = {
    "AT": "at",
    "WHO": "actor.name",
    "ROLE": "actor.role",
    "FROM": "address",
    "ACTION": "action",
    "KIND": "object.kind",
    "OBJECT": "object.id",
    "IN": "place",
    "CHANGE": "change",
    "REQUEST": "requestId",
}


@dataclass(frozen=True)
class Filters:
    since: Annotated[
        str | None, typer.Option("--since", help="Not before this RFC 3339 instant.")
    ] = None
    until: Annotated[str | None, typer.Option("--until", help="Before this instant.")] = None
    actor: Annotated[
        str | None, typer.Option("--actor", help="Only this token, by id or name.")
    ] = None
    kind: Annotated[
        str | None, typer.Option("--kind", help="Only `addon`, `backup`, `token`, ...")
    ] = None
    object: Annotated[str | None, typer.Option("--object", help="Only the thing of this id.")] = (
        None
    )
    project: Annotated[
        str | None, typer.Option("--project", "-p", help="Only in this project.")
    ] = None
    addon: Annotated[str | None, typer.Option("--addon", "-a", help="Only of this addon.")] = None

    def params(self) -> dict[str, str | int]:
        fields = {
            "startTime": self.since,
            "endTime": self.until,
            "actor": self.actor,
            "kind": self.kind,
            "objectId": self.object,
            "projectId": self.project,
            "addonId": self.addon,
        }
        return {name: value for name, value in fields.items() if value is not None}


@verb(
    app,
    "list",
    "holdfast audit list --limit 20",
    "holdfast audit list --actor ci --since 2026-11-21T00:00:00Z",
    "holdfast audit list --kind backup --project shop --addon orders",
)
def show(session: Session, filters: Filters, limit: Limit = None) -> None:
    """List changes made through the API, the newest first."""
    with session.client() as client:
        entries = list(islice(client.audit.list(filters.params()), limit))
    session.printer.rows(entries, _COLUMNS, described)


def described(entry: AuditEntry) -> dict[str, str]:
    """Words where the change was, and what it was."""
    location = "/".join(filter(None, (entry.object.project, entry.object.addon)))
    return {"place": location, "change": change_of(entry)}


def change_of(entry: AuditEntry) -> str:
    """Words a change: `retained: no -> yes` for fields that differ, else one word."""
    before, after = entry.before, entry.after
    if before is None:
        return "ordered" if after is None else "made"
    if after is None:
        return "gone"
    old, new = dict(flatten(before)), dict(flatten(after))
    names = dict.fromkeys([*old, *new])
    return "; ".join(f"{name}: {old.get(name) or '-'} -> {new.get(name) or '-'}" for name in names)
