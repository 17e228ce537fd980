"""`holdfast status` and `holdfast objective`: is every addon protected, and what was promised."""

from dataclasses import dataclass
from typing import Annotated

import typer

from holdfast.cli.session.session import Session
from holdfast.cli.session.verbs import noun, verb
from holdfast.domain.protection import State, exit_status

app = noun("Objectives: how old a backup may be, how long a restore may take, how often proven.")

_COLUMNS = {
    "STATE": "state",
    "ADDON": "addon",
    "TYPE": "type",
    "SINCE": "since",
    "RECOVERABLE TO": "lastRecoverableAt",
    "NEXT": "nextDueAt",
    "PROVEN": "provenAt",
    "WHY": "why",
}


@dataclass(frozen=True)
class Scope:
    project: Annotated[
        str | None, typer.Option("--project", "-p", help="Of this project; without it of all.")
    ] = None
    addon: Annotated[str | None, typer.Option("--addon", "-a", help="Of this addon.")] = None


def status(
    session: Session,
    project: Annotated[
        str | None, typer.Option("--project", "-p", help="Only this project's addons.")
    ] = None,
) -> None:
    """Show every addon, the worst first. Exit status 0: all protected (or paused on purpose), 1:
    something is at risk, 2: something is unprotected or has no plan."""
    with session.client() as client:
        wall = client.protection.wall(project)
    rows = [item.document() for item in wall.addons]
    if not session.printer.machine:
        for row, item in zip(rows, wall.addons, strict=True):
            row["addon"] = f"{item.addon.project_id}/{item.addon.id}"
            row["type"] = item.addon.type
            row["why"] = "; ".join(reason.sentence for reason in item.reasons)
    session.printer.rows(rows, _COLUMNS)
    verdict = exit_status([State(item.state) for item in wall.addons])
    if verdict:
        raise typer.Exit(verdict)


@verb(
    app,
    "show",
    "holdfast objective show",
    "holdfast objective show --project shop --addon orders",
)
def show(session: Session, scope: Scope) -> None:
    """Show what was set for an addon, a project, or all of them; nothing: the default counts."""
    with session.client() as client:
        objective = client.protection.objective(scope.project, scope.addon)
    session.printer.record(objective.document())


@verb(
    app,
    "set",
    "holdfast objective set --max-age-minutes 1500",
    "holdfast objective set -p shop -a orders --max-age-minutes 90 --places 2",
)
def put(
    session: Session,
    scope: Scope,
    max_age_minutes: Annotated[
        int | None, typer.Option(help="How old the newest good backup may be.")
    ] = None,
    max_restore_minutes: Annotated[
        int | None, typer.Option(help="How long a restore may take.")
    ] = None,
    proven_within_days: Annotated[
        int | None, typer.Option(help="Within how many days a restore must have been proven.")
    ] = None,
    places: Annotated[
        int | None, typer.Option(help="How many stores must hold a good copy.")
    ] = None,
) -> None:
    """Replace an objective. What is left out goes back to the wider scope's, or the default."""
    fields = {
        "maxAgeMinutes": max_age_minutes,
        "maxRestoreMinutes": max_restore_minutes,
        "provenWithinDays": proven_within_days,
        "places": places,
    }
    body = {name: value for name, value in fields.items() if value is not None}
    with session.client() as client:
        objective = client.protection.set_objective(body, scope.project, scope.addon)
    session.printer.record(objective.document())


def register(program: typer.Typer) -> None:
    verb(program, "status", "holdfast status", "holdfast status --project shop -o json")(status)
