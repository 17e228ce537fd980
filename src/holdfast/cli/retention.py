"""`holdfast retention`: plans, lists and starts deletions, and checks of stores."""

from collections.abc import Iterator, Mapping
from enum import StrEnum
from itertools import islice
from typing import Annotated

import typer

from holdfast.cli.session.options import InAddon, Limit
from holdfast.cli.session.session import Session
from holdfast.cli.session.verbs import noun, verb
from holdfast.cli.when import until
from holdfast.client.models.upkeep import AddonPlan, Audit, Deletion, Finding, Hold

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
        plans = list(client.retention.plan(project, addon))
        hold = None if session.printer.machine else client.retention.held()
    if going:
        for number, addon_plan in enumerate(plans):
            copies = [copy for copy in addon_plan.copies if copy.deletes_at]
            plans[number] = addon_plan.model_copy(update={"copies": copies})
    if hold is None:
        session.printer.rows([plan for plan in plans if plan.copies or not going], {})
        return
    columns = {"ADDON": "addon", "BACKUP": "backupId", "AT": "place", "SIZE": "size"}
    if hold.held or hold.resumes_at:
        session.printer.sentence(hold, _held(hold))
    rows = [row for addon_plan in plans for row in _rows(addon_plan)]
    session.printer.rows(rows, {**columns, "FATE": "fate", "DELETED": "when", "WHY": "why"})


def _rows(addon_plan: AddonPlan) -> Iterator[Document]:
    """Yields the copies of an addon as rows for people."""
    suffix = " (deleted)" if addon_plan.addon.deleted else ""
    for copy in addon_plan.copies:
        reasons = list(copy.reasons)
        if copy.deletion is not None and copy.deletion.last_error:
            reasons.append(f"tried {copy.deletion.tries} times: {copy.deletion.last_error}")
        moment = "never by itself"
        if copy.deletes_at:
            moment = f"{_short(copy.deletes_at)} ({until(copy.deletes_at)})"
        elif copy.earliest_at:
            moment = f"not before {_short(copy.earliest_at)}"
        yield {
            **copy.document(),
            "addon": f"{addon_plan.project.id}/{addon_plan.addon.id}{suffix}",
            "place": copy.destination_id or "(server)",
            "when": moment,
            "why": "; ".join(reasons),
        }


def _short(instant: str) -> str:
    return instant[:16].replace("T", " ")


@verb(app, "hold", 'holdfast retention hold "the bucket is being looked into"')
def hold(
    session: Session,
    reason: Annotated[str, typer.Argument(help="Why; everyone who looks at retention reads it.")],
) -> None:
    """Stop all deletions of retention, at once and until they are released."""
    with session.client() as client:
        placed = client.retention.hold(reason)
    session.printer.sentence(placed, _held(placed))


@verb(app, "release", "holdfast retention release")
def release(session: Session) -> None:
    """Let retention go on; what is due waits for the grace period once more."""
    with session.client() as client:
        lifted = client.retention.release()
    session.printer.sentence(lifted, _held(lifted))


def _held(hold: Hold) -> str:
    if hold.held:
        begun = f" {hold.begun} removals that had begun go to their end." if hold.begun else ""
        return f"Retention is held by {hold.placed_by}: {hold.reason}.{begun}"
    if hold.resumes_at:
        return f"Retention goes on {until(hold.resumes_at)}; until then nothing goes."
    return "Retention is not held."


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
        listed = client.retention.deletions(only_open=only_open)
        rows = list(islice(listed, limit))
    columns = {"BACKUP": "backupId", "AT": "place", "STATE": "state", "DUE": "due", "WHY": "why"}
    session.printer.rows(rows, columns, described_deletion)


def described_deletion(deletion: Deletion) -> dict[str, str]:
    """Words the store, the due time and the reasons."""
    due = deletion.due_at or ""
    error = [f"tried {deletion.tries} times: {deletion.last_error}"] if deletion.last_error else []
    off = [f"called off: {deletion.called_off}"] if deletion.called_off else []
    return {
        "place": deletion.destination_id or "(server)",
        "due": _short(due) if deletion.done_at else f"{_short(due)} ({until(due)})",
        "why": "; ".join([deletion.reason, *off, *error]),
    }


@verb(app, "findings", "holdfast retention findings --kind lost")
def findings(
    session: Session,
    kind: Annotated[Kind | None, typer.Option("--kind", help="Only of this kind.")] = None,
    limit: Limit = None,
) -> None:
    """List what store checks found: lost backups, leftovers of dead attempts, foreign objects."""
    with session.client() as client:
        rows = list(islice(client.retention.findings(kind), limit))
    columns = {"KIND": "kind", "AT": "place", "UNDER": "prefix", "OBJECTS": "objects"}
    columns = {**columns, "SIZE": "bytes", "SEEN": "seenAt", "WHY": "why"}
    session.printer.rows(rows, columns, described_finding)


def described_finding(finding: Finding) -> dict[str, str]:
    """Words the store and the reasons."""
    outcome = [f"settled: {finding.outcome}"] if finding.outcome else []
    return {
        "place": finding.destination_id or "(server)",
        "why": "; ".join([finding.reason, *outcome]),
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
        rows = list(client.retention.audits())
    columns = {"STORE": "place", "DONE": "endedAt", "NEXT": "next", "PROBLEM": "problem"}
    session.printer.rows(rows, columns, described_check)


def described_check(check: Audit) -> dict[str, str]:
    """Words the store and the next check."""
    soon = until(check.due_at or "")
    store = check.destination_id or "(server)"
    return {"place": store, "next": "now" if soon.endswith("ago") else soon}


@verb(
    app,
    "prune",
    "holdfast retention prune --project shop --addon orders",
    "holdfast retention prune -p shop -a orders --share 1",
)
def prune(
    session: Session,
    scope: InAddon,
    share: Annotated[
        float | None,
        typer.Option("--share", help="The most of its backups that may go: up to 1, all."),
    ] = None,
) -> None:
    """Mark an addon's expired backups now; they are deleted after the grace period."""
    if share is not None and not 0 < share <= 1:
        raise typer.BadParameter("--share is a number above 0, up to 1")
    with session.client() as client:
        pruned = client.retention.prune(*scope.of(session), share)
    left = f"; {pruned.expired} expired ones wait for later runs" if pruned.expired else ""
    off = f", {pruned.called_off} called off" if pruned.called_off else ""
    session.printer.sentence(pruned, f"{pruned.marked} marked for deletion{off}{left}")
