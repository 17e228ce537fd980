"""`holdfast pitr`: archives a server's log, shows what can be restored of it, and restores that."""

from itertools import islice
from typing import Annotated

import typer

from holdfast.cli.restore import From, follow
from holdfast.cli.session.options import InAddon, Waiting, Yes
from holdfast.cli.session.session import Session
from holdfast.cli.session.verbs import noun, verb
from holdfast.cli.terminal import prompts
from holdfast.cli.terminal.output import note
from holdfast.cli.when import own_zone, parse_moment
from holdfast.client.models.archives import Change
from holdfast.kit.clock import SystemClock

app = noun("Point-in-time recovery: any instant of an addon whose log is archived.")


@verb(app, "enable", "holdfast pitr enable --project shop --addon orders --days 14")
def enable(
    session: Session,
    scope: InAddon,
    days: Annotated[
        int | None, typer.Option("--days", min=1, help="How far back any instant is kept.")
    ] = None,
    interval: Annotated[
        int | None, typer.Option("--interval", min=1, max=60, help="Store every SECONDS.")
    ] = None,
    unbounded: Annotated[
        bool,
        typer.Option(
            "--unbounded",
            help="Of an attached server: accept that nothing limits the log it keeps for us.",
        ),
    ] = False,
) -> None:
    """Archive an addon's log from now on; says what an attached server lacks."""
    body: dict[str, object] = {"unbounded": True} if unbounded else {}
    if days is not None:
        body["days"] = days
    if interval is not None:
        body["intervalSeconds"] = interval
    with session.client() as client:
        session.printer.record(client.addons.enable_archive(*scope.of(session), body))


@verb(app, "disable", "holdfast pitr disable --project shop --addon orders")
def disable(session: Session, scope: InAddon, yes: Yes = False) -> None:
    """Archive no more; what is stored stays restorable."""
    names = scope.of(session)
    prompts.confirm(f"Archive the log of {names[1]} no more?", force=yes, option="--yes")
    with session.client() as client:
        client.addons.disable_archive(*names)
        session.printer.record(client.addons.archive(*names))


@verb(app, "window", "holdfast pitr window --project shop --addon orders")
def window(session: Session, scope: InAddon, source: From) -> None:
    """Show from when until when any instant can be restored."""
    names = scope.of(session)
    with session.client() as client:
        session.printer.record(client.addons.pitr_window(*names, source.origin(*names)))


@verb(app, "status", "holdfast pitr status --project shop --addon orders")
def status(session: Session, scope: InAddon, source: From) -> None:
    """Show the archive's state, all its windows, and the gaps between them with their reasons."""
    names = scope.of(session)
    with session.client() as client:
        session.printer.record(client.addons.archive(*names, source.origin(*names)))


@verb(
    app,
    "find",
    "holdfast pitr find -p shop -a orders --around 14:03Z",
    "holdfast pitr find -p shop -a orders --around 2026-11-30T14:03:00+01:00 --table customers",
)
def find(
    session: Session,
    scope: InAddon,
    source: From,
    around: Annotated[
        str,
        typer.Option("--around", metavar="TIME", help="With a zone: 14:03Z is the last 14:03 UTC."),
    ],
    within: Annotated[
        int, typer.Option("--within", min=0, max=86_400, help="So many seconds around it.")
    ] = 60,
    table: Annotated[
        str | None, typer.Option("--table", help="Only commits that touched this table.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="Show at most so many.")] = 200,
) -> None:
    """List what was committed around an instant, so that you can go back to right before it."""
    names = scope.of(session)
    moment = parse_moment("--around", around, SystemClock().now(), own_zone())
    with session.client() as client:
        pages = client.addons.changes(*names, moment, within, table, source.origin(*names))
        listed = list(islice(pages, limit + 1))
    columns = {"TIME": "timestamp", "TRANSACTION": "transaction", "POSITION": "position"}
    session.printer.rows(listed[:limit], {**columns, "CHANGES": "changes"}, words_of)
    if session.printer.machine or not listed:
        return
    if len(listed) > limit:
        note(f"there are more than {limit}: name a --table, or a shorter --within")
    line = f" --line {listed[0].line}" if listed[0].line else ""
    origin = source.origin(*names)
    other = f" --from-project {origin.project} --from-addon {origin.addon}" if origin else ""
    note(
        "to go back to right before one of them: holdfast pitr restore"
        f" -p {names[0]} -a {names[1]}{other} --to-position POSITION --exclusive{line}"
    )


@verb(app, "mark", "holdfast pitr mark before-release-41 -p shop -a orders")
def mark(
    session: Session,
    scope: InAddon,
    name: Annotated[str, typer.Argument(help="Each name only once.")],
) -> None:
    """Name the present moment in the server's log, to restore to it later (PostgreSQL)."""
    with session.client() as client:
        session.printer.record(client.addons.mark(*scope.of(session), name))


def words_of(change: Change) -> dict[str, str]:
    """Words what a commit did, or the name of a point."""
    parts = [change.statement] if change.statement else []
    if change.name:
        parts.append(f"the point {change.name!r}")
    for table in change.tables:
        counts = {"+": table.inserted, "~": table.updated, "-": table.deleted}
        words = [f"{sign}{count}" for sign, count in counts.items() if count]
        removed = ["removed"] if table.removed else []
        parts.append(" ".join([f"{table.database}.{table.table}", *words, *removed]))
    if change.defines and not change.statement:
        parts.append("definitions")
    if not change.is_whole:
        parts.append("(began before what was read; may have touched more)")
    return {"changes": "; ".join(parts)}


@verb(
    app,
    "restore",
    "holdfast pitr restore -p shop -a orders --to 2026-11-30T14:03:11Z --wait",
    "holdfast pitr restore -p shop -a orders --before-transaction 28747 --wait",
    "holdfast pitr restore -p shop -a copy --from-addon orders --to 2026-11-30T14:03:11Z",
)
def restore(
    session: Session,
    scope: InAddon,
    source: From,
    waiting: Waiting,
    to: Annotated[
        str | None, typer.Option("--to", metavar="TIME", help="With an offset, such as Z.")
    ] = None,
    before_transaction: Annotated[
        str | None, typer.Option("--before-transaction", help="Right before it committed.")
    ] = None,
    with_transaction: Annotated[
        str | None, typer.Option("--with-transaction", help="Right after it committed.")
    ] = None,
    to_position: Annotated[
        str | None, typer.Option("--to-position", metavar="LSN", help="All up to this position.")
    ] = None,
    to_name: Annotated[
        str | None, typer.Option("--to-name", help="The point of this name, see `mark`.")
    ] = None,
    line: Annotated[
        str | None, typer.Option("--line", help="Of several histories the one that `find` named.")
    ] = None,
    exclusive: Annotated[
        bool, typer.Option("--exclusive", help="Without what happened exactly there.")
    ] = False,
    yes: Yes = False,
) -> None:
    """Restore an addon to an instant, of its own archive or of another addon's; its data of now is
    replaced when the restored is ready."""
    names = scope.of(session)
    targets = {
        "targetTimestamp": to,
        "beforeTransaction": before_transaction,
        "withTransaction": with_transaction,
        "targetPosition": to_position,
        "targetName": to_name,
    }
    body: dict[str, object] = {name: text for name, text in targets.items() if text is not None}
    if len(body) != 1:
        raise typer.BadParameter(
            "give one of --to, --to-name, --to-position, --before-transaction, --with-transaction"
        )
    if line is not None:
        body["line"] = line
    if exclusive:
        body["inclusive"] = False
    prompts.confirm(f"Replace the present data of {names[1]}?", force=yes, option="--yes")
    with session.client() as client:
        started = client.addons.recover(*names, body, source.origin(*names))
        follow(session, client, (*names, started.restore_id), waiting)
