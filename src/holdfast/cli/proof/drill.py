"""`holdfast drill`: proves that backups restore, by restoring them into throwaway servers."""

from itertools import islice
from typing import Annotated

import typer

from holdfast.cli.session.log_lines import show_lines
from holdfast.cli.session.options import InAddon, Limit, Lines, Waiting
from holdfast.cli.session.session import Session
from holdfast.cli.session.verbs import noun, verb
from holdfast.cli.terminal.output import note
from holdfast.cli.terminal.problems import OperationFailed, naming
from holdfast.cli.terminal.progress import watching
from holdfast.client.proof.drills import Assertion, Drill

app = noun("Drills: restores into throwaway servers, to prove that backups restore.")
assertions = noun("Assertions: what must be true of a restored server.")

Id = Annotated[str, typer.Argument(metavar="DRILL", help="Drill id.")]
_COLUMNS = {
    "ID": "id",
    "VERDICT": "verdict",
    "STATUS": "status",
    "BACKUP": "backupId",
    "CAUSE": "cause",
    "RESTORE": "restore",
    "CREATED": "createdAt",
}


@verb(
    app,
    "run",
    "holdfast drill run -p shop -a orders --wait",
    "holdfast drill run -p shop -a orders --backup nightly --keep-minutes 60",
    "holdfast drill run -p shop -a orders --at 2026-11-30T14:03:11+01:00",
)
def run(
    session: Session,
    scope: InAddon,
    waiting: Waiting,
    backup: Annotated[
        str | None, typer.Option("--backup", "-b", help="Backup id; default: the newest good one.")
    ] = None,
    at: Annotated[
        str | None,
        typer.Option("--at", metavar="TIME", help="A moment of the addon's archive instead."),
    ] = None,
    keep_minutes: Annotated[
        int, typer.Option("--keep-minutes", min=0, help="Keep the restored server to look at.")
    ] = 0,
) -> None:
    """Restore a backup, or a moment, into a throwaway server and judge it. With --wait the exit
    status tells the verdict: anything but `passed` is 1."""
    names = scope.of(session)
    flags = {"backupId": "--backup", "targetTimestamp": "--at"}
    flags["keepMinutes"] = "--keep-minutes"
    with session.client() as client, naming(**flags):
        started = client.drills.run(*names, backup, keep_minutes, at)
        if waiting.wait:
            with watching(f"drill of {names[1]}") as listener:
                patience = waiting.patience()
                drill = client.wait_for_drill(*names, started.drill_id, patience, listener)
        else:
            drill = client.drills.get(*names, started.drill_id)
    _show(session, drill)
    if drill.status == "scheduled" and drill.reason:
        note(f"it waits: {drill.reason}")
    if waiting.wait and drill.verdict != "passed":
        reason = f": {drill.reason}" if drill.reason else ""
        raise OperationFailed(f"the drill {drill.id} ended {drill.verdict or drill.status}{reason}")


def _show(session: Session, drill: Drill) -> None:
    session.printer.record(drill)
    if session.printer.machine:
        return
    for finding in drill.findings:
        note(f"{finding.verdict:12}  {finding.name}: {finding.found}")


@verb(app, "list", "holdfast drill list --project shop --addon orders")
def show_list(session: Session, scope: InAddon, limit: Limit = None) -> None:
    """List an addon's drills, newest first."""
    with session.client() as client:
        drills = list(islice(client.drills.list(*scope.of(session)), limit))
    session.printer.rows(drills, _COLUMNS, _words)


def _words(drill: Drill) -> dict[str, object]:
    return {"restore": f"{drill.seconds['restore']:.1f} s" if "restore" in drill.seconds else ""}


@verb(app, "get", "holdfast drill get 65a1f0c2b3d4e5f6a7b8c9d0 -p shop -a orders")
def get(session: Session, scope: InAddon, drill: Id) -> None:
    """Show a drill with everything it found."""
    with session.client() as client:
        _show(session, client.drills.get(*scope.of(session), drill))


@verb(app, "logs", "holdfast drill logs 65a1f0c2b3d4e5f6a7b8c9d0 -p shop -a orders")
def logs(session: Session, scope: InAddon, drill: Id, lines: Lines) -> None:
    """Show the log of a drill."""
    with session.client() as client:
        show_lines(session, client.drills.logs(*scope.of(session), drill, lines.query()))


@verb(app, "abort", "holdfast drill abort 65a1f0c2b3d4e5f6a7b8c9d0 -p shop -a orders")
def abort(session: Session, scope: InAddon, drill: Id) -> None:
    """Stop a drill; its server goes with it."""
    with session.client() as client:
        client.drills.abort(*scope.of(session), drill)
    session.printer.done(f"aborting drill {drill}")


@verb(app, "server", "holdfast drill server 65a1f0c2b3d4e5f6a7b8c9d0 -p shop -a orders")
def server(session: Session, scope: InAddon, drill: Id) -> None:
    """Show how to reach the server that a drill keeps, on the machine of its worker."""
    with session.client() as client:
        session.printer.record(client.drills.server(*scope.of(session), drill))


@verb(app, "release", "holdfast drill release 65a1f0c2b3d4e5f6a7b8c9d0 -p shop -a orders")
def release(session: Session, scope: InAddon, drill: Id) -> None:
    """Give the kept server of a drill up before its time."""
    with session.client() as client:
        client.drills.release(*scope.of(session), drill)
    session.printer.done(f"releasing the server of drill {drill}")


@verb(
    app,
    "judge",
    "holdfast drill judge 65a1f0c2b3d4e5f6a7b8c9d0 -p shop -a orders --passed",
    "holdfast drill judge 65a1f0c2b3d4e5f6a7b8c9d0 -p shop -a orders --failed --note 'no orders'",
)
def judge(
    session: Session,
    scope: InAddon,
    drill: Id,
    passed: Annotated[bool, typer.Option("--passed/--failed", help="What you found.")],
    text: Annotated[str, typer.Option("--note", help="Why.")] = "",
) -> None:
    """Add your own verdict to a drill, beside Holdfast's."""
    with session.client() as client:
        client.drills.give_opinion(*scope.of(session), drill, passed=passed, note=text)
    session.printer.done(f"noted beside drill {drill}")


@verb(
    app,
    "plan",
    "holdfast drill plan -p shop -a orders",
    "holdfast drill plan -p shop -a orders --after-backup",
)
def plan(
    session: Session,
    scope: InAddon,
    scheduled: Annotated[
        bool | None,
        typer.Option("--scheduled/--not-scheduled", help="Drill within the objective."),
    ] = None,
    after_backup: Annotated[
        bool | None,
        typer.Option("--after-backup/--not-after-backup", help="Drill each new backup."),
    ] = None,
    compare_content: Annotated[
        bool | None,
        typer.Option("--content/--no-content", help="Compare every row with the backup."),
    ] = None,
) -> None:
    """Show or change which drills an addon has by itself."""
    names = scope.of(session)
    chosen = {
        "scheduled": scheduled,
        "afterBackup": after_backup,
        "compareContent": compare_content,
    }
    changes = {name: value for name, value in chosen.items() if value is not None}
    with session.client() as client:
        current = client.drills.plan(*names)
        if changes:
            current = client.drills.set_plan(*names, {**current.document(), **changes})
    session.printer.record(current)


@verb(assertions, "list", "holdfast assertion list -p shop -a orders")
def list_assertions(session: Session, scope: InAddon) -> None:
    """List what every drill of an addon asks."""
    with session.client() as client:
        rows = client.drills.assertions(*scope.of(session)).assertions
    columns = {"NAME": "name", "TEXT": "text", "SECONDS": "seconds", "DATABASE": "database"}
    session.printer.rows(rows, columns)


@verb(
    assertions,
    "set",
    "holdfast assertion set fresh -p shop -a orders"
    " --text \"SELECT max(at) > now() - interval '1 day' FROM orders\"",
)
def set_assertion(
    session: Session,
    scope: InAddon,
    name: Annotated[str, typer.Argument(metavar="NAME")],
    text: Annotated[
        str, typer.Option("--text", help="One statement whose first value must be true.")
    ],
    seconds: Annotated[int, typer.Option("--seconds", min=1, help="Time limit.")] = 30,
    database: Annotated[
        str | None, typer.Option("--database", help="Default: the addon's own.")
    ] = None,
) -> None:
    """Add a question, or replace the one of that name."""
    names = scope.of(session)
    asked = Assertion(name=name, text=text, seconds=seconds, database=database)
    with session.client() as client, naming(assertions="--text"):
        kept = [a for a in client.drills.assertions(*names).assertions if a.name != name]
        client.drills.set_assertions(*names, [*kept, asked])
    session.printer.done(f"every drill of {names[1]} asks {name}")


@verb(assertions, "remove", "holdfast assertion remove fresh -p shop -a orders")
def remove_assertion(
    session: Session, scope: InAddon, name: Annotated[str, typer.Argument(metavar="NAME")]
) -> None:
    """Ask a question no more."""
    names = scope.of(session)
    with session.client() as client:
        stored = client.drills.assertions(*names).assertions
        kept = [assertion for assertion in stored if assertion.name != name]
        if len(kept) == len(stored):
            raise typer.BadParameter(f"there is no assertion {name!r}")
        client.drills.set_assertions(*names, kept)
    session.printer.done(f"removed {name}")
