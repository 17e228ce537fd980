"""`holdfast restore`: starts, follows, lists, aborts and undoes restores."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Annotated, cast

import typer

from holdfast.cli.session.log_lines import show_lines
from holdfast.cli.session.options import InAddon, Limit, Lines, Waiting, Yes
from holdfast.cli.session.session import Session
from holdfast.cli.session.verbs import noun, verb
from holdfast.cli.terminal import prompts
from holdfast.cli.terminal.output import note
from holdfast.cli.terminal.problems import OperationFailed, naming
from holdfast.cli.terminal.progress import watching
from holdfast.client import Client
from holdfast.client.models.models import GOOD, Restore
from holdfast.client.restores import Choices, Origin

app = noun("Restores into an addon.")

Id = Annotated[str, typer.Argument(metavar="RESTORE", help="Restore id.")]
Backup = Annotated[str, typer.Option("--backup", "-b", help="Backup id.")]


@dataclass(frozen=True)
class From:
    """The addon of the backup or archive, when it is not the target."""

    from_addon: Annotated[
        str | None, typer.Option("--from-addon", help="Addon to restore from, if another.")
    ] = None
    from_project: Annotated[
        str | None, typer.Option("--from-project", help="Its project, if another.")
    ] = None

    def origin(self, project: str, addon: str) -> Origin | None:
        if self.from_addon is None and self.from_project is None:
            return None
        return Origin(self.from_project or project, self.from_addon or addon)


@dataclass(frozen=True)
class RestoreOptions:
    """The options of a restore: permissions, promises and deviations."""

    replace: Annotated[
        bool,
        typer.Option(
            "--replace",
            help="Of a snapshot, when there is no room for a second copy: remove the present"
            " data first. If such a restore fails, the addon has no data.",
        ),
    ] = False
    trusted: Annotated[
        bool,
        typer.Option(
            "--trusted",
            help="You vouch for a backup of another project: its roles, owners and definers get"
            " their power back. Needs a token of all projects.",
        ),
    ] = False
    accept_differences: Annotated[
        bool,
        typer.Option(
            "--accept-differences",
            help="Restore in spite of the differences that the last restore of this backup into"
            " this addon ended with. They are shown first; a new one still ends the restore.",
        ),
    ] = False
    skip_failed_objects: Annotated[
        bool,
        typer.Option(
            "--skip-failed-objects",
            help="Of a dump: leave out objects that cannot be made and hold no data, such as"
            " views, indexes and code. The report names them.",
        ),
    ] = False
    keep_old: Annotated[
        int | None,
        typer.Option(
            "--keep-old",
            metavar="HOURS",
            min=0,
            help="Set the old data aside for that long, for `restore undo`. By default 24 when the"
            " restore deviates from the backup, else 0.",
        ),
    ] = None
    locale: Annotated[
        str | None,
        typer.Option(
            "--locale",
            help="Of a dump of PostgreSQL: make databases whose own locale the server's machine"
            " does not have with this one, such as C.UTF-8. They sort otherwise.",
        ),
    ] = None
    yes: Yes = False

    def choices(self, addon: str, differences: Sequence[str]) -> Choices:
        """Returns the choices after confirmation; `differences` are those to be accepted."""
        if self.replace:
            question = f"May the present data of {addon} be removed before its successor is there?"
            prompts.confirm(question, force=self.yes, option="--yes")
        if differences:
            for difference in differences:
                note(difference)
            question = f"Restore {addon} in spite of these {len(differences)} differences?"
            prompts.confirm(question, force=self.yes, option="--yes")
        return Choices(
            replace=self.replace,
            trusted=self.trusted,
            accept_differences=differences,
            skip_failed_objects=self.skip_failed_objects,
            keep_old_hours=self.keep_old,
            locale=self.locale,
        )


@verb(
    app,
    "create",
    "holdfast restore create --backup nightly -p shop -a orders --wait",
    "holdfast restore create --backup nightly -p shop -a orders-copy --from-addon orders",
)
def create(
    session: Session,
    scope: InAddon,
    backup: Backup,
    source: From,
    options: RestoreOptions,
    waiting: Waiting,
) -> None:
    """Replace an addon's data with a backup. With --wait the exit status tells how it ended."""
    names, flags = scope.of(session), _FLAGS
    with session.client() as client, naming(**flags):
        origin = source.origin(*names)
        differences: Sequence[str] = ()
        if options.accept_differences:  # those that the newest restore of this backup found
            restores = client.restores.list_of_backup(*names, backup, origin)
            lists = ((restore.report or {}).get("differences") for restore in restores)
            differences = next(
                (cast("list[str]", shown) for shown in lists if isinstance(shown, list) and shown),
                (),
            )
            if not differences:
                raise typer.BadParameter(
                    f"no restore of {backup} has shown differences yet: restore it without"
                    " --accept-differences first"
                )
        choices = options.choices(names[1], differences)
        started = client.restores.create(*names, backup, origin, choices)
        follow(session, client, (*names, started.restore_id), waiting)


_FLAGS = {
    "replace": "--replace",
    "trusted": "--trusted",
    "acceptDifferences": "--accept-differences",
    "skipFailedObjects": "--skip-failed-objects",
    "keepOldHours": "--keep-old",
    "locale": "--locale",
}


def follow(session: Session, client: Client, which: tuple[str, str, str], waiting: Waiting) -> None:
    restore = _awaited(client, which, waiting) if waiting.wait else client.restores.get(*which)
    conclude(session, restore, waited=waiting.wait)


@verb(app, "wait", "holdfast restore wait 65a1f0c2b3d4e5f6a7b8c9d0 -p shop -a orders")
def wait(
    session: Session,
    scope: InAddon,
    restore: Id,
    timeout: Annotated[float | None, typer.Option("--timeout", min=0)] = None,
) -> None:
    """Wait for a restore to end; the exit status tells how."""
    waiting = Waiting(wait=True, timeout=timeout)
    with session.client() as client:
        ended = _awaited(client, (*scope.of(session), restore), waiting)
    conclude(session, ended, waited=True)


def _awaited(client: Client, which: tuple[str, str, str], waiting: Waiting) -> Restore:
    with watching(f"restore into {which[1]}") as listener:
        return client.wait_for_restore(*which, waiting.patience(), listener)


def conclude(session: Session, restore: Restore, *, waited: bool) -> None:
    """Prints the restore; one that was waited for and did not complete is a failure."""
    session.printer.record(restore)
    if waited and restore.status != GOOD:
        reason = f": {restore.reason}" if restore.reason else ""
        raise OperationFailed(f"the restore {restore.id} ended {restore.status}{reason}")


@verb(app, "list", "holdfast restore list --project shop --addon orders")
def show(
    session: Session,
    scope: InAddon,
    source: From,
    limit: Limit = None,
    backup: Annotated[str | None, typer.Option("--backup", "-b", help="Only of this.")] = None,
) -> None:
    """List restores into an addon, newest first."""
    names = scope.of(session)
    with session.client() as client:
        if backup is None:
            restores = client.restores.list(*names)
        else:
            restores = client.restores.list_of_backup(*names, backup, source.origin(*names))
        rows = list(islice(restores, limit))
    columns = {"ID": "id", "STATUS": "status", "BACKUP": "backupId"}
    session.printer.rows(
        rows,
        {
            **columns,
            "STARTED": "restoreTimestamp",
            "COMPLETED": "completedAt",
            "UNDO UNTIL": "oldDataUntil",
        },
    )


@verb(app, "get", "holdfast restore get 65a1f0c2b3d4e5f6a7b8c9d0 -p shop -a orders")
def get(session: Session, scope: InAddon, restore: Id) -> None:
    """Show a restore."""
    with session.client() as client:
        session.printer.record(client.restores.get(*scope.of(session), restore))


@verb(app, "abort", "holdfast restore abort 65a1f0c2b3d4e5f6a7b8c9d0 -p shop -a orders")
def abort(session: Session, scope: InAddon, restore: Id, source: From) -> None:
    """Stop a restore that is scheduled or in progress."""
    names = scope.of(session)
    with session.client() as client:
        running = client.restores.get(*names, restore)
        client.restores.abort(*names, running, source.origin(*names))
    session.printer.done(f"aborting restore {restore}")


@verb(app, "undo", "holdfast restore undo 65a1f0c2b3d4e5f6a7b8c9d0 -p shop -a orders --wait")
def undo(
    session: Session, scope: InAddon, restore: Id, source: From, waiting: Waiting, yes: Yes = False
) -> None:
    """Put back the old data that a restore set aside; what is there now is removed."""
    names = scope.of(session)
    question = f"Remove the present data of {names[1]} and put back what was there before?"
    prompts.confirm(question, force=yes, option="--yes")
    with session.client() as client:
        undone = client.restores.get(*names, restore)
        started = client.restores.undo(*names, undone, source.origin(*names))
        follow(session, client, (*names, started.restore_id), waiting)


@verb(app, "logs", "holdfast restore logs 65a1f0c2b3d4e5f6a7b8c9d0 -p shop -a orders")
def logs(session: Session, scope: InAddon, restore: Id, lines: Lines) -> None:
    """Show what was logged during a restore."""
    names, query = scope.of(session), lines.query()
    with session.client() as client:
        logged = client.restores.get(*names, restore)
        source = client.restores.tail if lines.follow else client.restores.logs
        show_lines(session, source(*names, logged, query))
