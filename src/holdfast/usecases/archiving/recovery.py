"""Orders the recovery of an addon to an instant, or to right before or after a transaction."""

from collections.abc import Sequence
from dataclasses import dataclass

from holdfast.catalog import backups
from holdfast.catalog.archiving import archives, points
from holdfast.catalog.database.session import ReadSession, lock_addon
from holdfast.catalog.schema import Addon, Backup, Restore
from holdfast.catalog.storage import archive_facts
from holdfast.contracts.archive import Replayable
from holdfast.contracts.engine import Engine
from holdfast.domain.archive import windows as rules
from holdfast.domain.archive.windows import Base, Route
from holdfast.domain.errors import Conflict, Invalid
from holdfast.usecases import restores
from holdfast.usecases.archiving import marking, windows
from holdfast.usecases.archiving.finding import parse_instant, show_line
from holdfast.usecases.context import Context
from holdfast.usecases.forms.archives import RecoveryForm
from holdfast.usecases.restores import Recovery


@dataclass(frozen=True)
class Planned:
    """A recovery that was possible when it was planned."""

    recovery: Recovery
    route: Route


def plan(session: ReadSession, engine: Engine, addon: Addon, form: RecoveryForm) -> Planned:
    """Finds the way to a target. Conflict, which says why, for what the archive does not reach."""
    if not isinstance(engine, Replayable):
        raise Conflict(f"{engine.title} cannot be recovered to a point in time")
    recovery = _target(form, engine)
    archive = archives.of_addon(session, addon.pk)
    if archive is None:
        raise Conflict("this addon keeps no archive; restore a backup instead")
    outlook = windows.outlook(session, archive)
    point = recovery.point and points.of_name(session, archive.pk, recovery.point)
    if point and form.line is None:
        line = marking.line_of(session, point)
        outlook = outlook.on({line.pk} if line else ())
        # Nothing is exactly at a point: with it and without it are the same.
        recovery = Recovery(position=point.position)
    if form.line is not None:
        rows = archives.lines(session, archive.pk)
        outlook = outlook.on({row.pk for row in rows if show_line(row) == form.line})
        if not outlook.routes:
            problem = f"line {form.line} is not stored, or no snapshot leads there any more"
            raise Conflict(problem)
    latest = outlook.latest
    if latest is None:
        raise Conflict("nothing can be restored yet: the first snapshot is not there")
    if recovery.instant is not None:
        route = outlook.route_to(recovery.instant)
    elif recovery.position is not None:
        route = rules.route_to_position(outlook.routes, recovery.position)
        if route is None:
            target = form.target_position or f"the point {form.target_name!r}"
            raise Conflict(f"{target} is in none of the archive's windows, or not stored yet")
    else:
        leading = [route for route in outlook.routes if route.window.line == latest.line]
        route = route_past(session, engine, leading, recovery.transaction)
    return Planned(recovery.of_line(route.window.line), route)


def route_past(
    session: ReadSession, engine: Replayable, leading: Sequence[Route], transaction: str | None
) -> Route:
    """The way past a transaction, from the nearest snapshot that is surely before it. Where a point
    without a row is only the log tells, so that is read from the farthest snapshot on."""
    positions = archive_facts.log_positions(session, [route.base.key for route in leading])

    def precedes(base: Base) -> bool:
        known = positions.get(base.key)
        return bool(known) and transaction is not None and engine.precedes(known, transaction)

    return rules.route_past(leading, precedes)


def start(context: Context, target: Addon, planned: Planned) -> tuple[Backup, Restore]:
    """Orders the restore of what was planned into `target`. Conflict if some of it was given up
    since: from here on it stays."""
    session, route = context.session, planned.route
    backup = backups.get(session, route.base.key)
    lock_addon(session, backup.addon_pk)
    lines = archives.lines_by_pk(session, [leg.line for leg in route.legs])
    session.refresh(backup)
    removed = any(lines[leg.line].removed > leg.start for leg in route.legs)
    if removed or backup.deleted is not None:
        raise Conflict("what this recovery needs was removed just now; ask for it again")
    return backup, restores.recover(context, target, backup, planned.recovery)


def _target(form: RecoveryForm, engine: Replayable) -> Recovery:
    targets = {
        "targetTimestamp": form.target_timestamp,
        "beforeTransaction": form.before_transaction,
        "withTransaction": form.with_transaction,
        "targetPosition": form.target_position,
        "targetName": form.target_name,
    }
    named = {name: value for name, value in targets.items() if value is not None}
    if len(named) != 1:
        problem = f"exactly one of {', '.join(targets)} is wanted"
        raise Invalid(problem, {"targetTimestamp": problem})
    ((name, value),) = named.items()
    if name == "targetPosition":
        try:
            position = engine.parse_position(value)
        except ValueError as error:
            problem = f"must be a position, such as {error}"
            raise Invalid(f"{name} {problem}", {name: problem}) from error
        return Recovery(position=position, inclusive=form.inclusive)
    if name == "targetName":
        marking.require_marking(engine)
        return Recovery(point=value)
    if name != "targetTimestamp":
        try:
            engine.precedes({}, value)
        except ValueError as error:
            raise Invalid(f"{name} {error}", {name: str(error)}) from error
        return Recovery(transaction=value, inclusive=name == "withTransaction")
    return Recovery(instant=parse_instant(name, value), inclusive=form.inclusive)
