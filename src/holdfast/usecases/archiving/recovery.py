"""Orders the recovery of an addon to an instant, or to right before or after a transaction."""

from datetime import datetime

from holdfast.catalog import backups
from holdfast.catalog.schema import Addon, Backup, Restore
from holdfast.catalog.storage import archives
from holdfast.contracts.archive import Replayable
from holdfast.domain.archive import windows as rules
from holdfast.domain.errors import Conflict, Invalid
from holdfast.kit.clock import parse_rfc3339
from holdfast.usecases import restores
from holdfast.usecases.archiving import windows
from holdfast.usecases.context import Context
from holdfast.usecases.forms.archives import RecoveryForm
from holdfast.usecases.restores import Recovery

_NO_TIME = "must be a time with an offset, such as 2026-11-30T01:09:00Z"


def start(context: Context, addon: Addon, form: RecoveryForm) -> tuple[Backup, Restore]:
    """Conflict, which says why, for what the archive does not reach."""
    session, engine = context.session, context.services.engines(addon.kind)
    if not isinstance(engine, Replayable):
        raise Conflict(f"{engine.title} cannot be recovered to a point in time")
    recovery = _target(form)
    archive = archives.of_addon(session, addon.pk)
    if archive is None:
        raise Conflict("this addon keeps no archive; restore a backup instead")
    outlook = windows.outlook(session, archive)
    if recovery.instant is not None:
        route = outlook.route_to(recovery.instant)
    else:  # the transaction is looked for in all that can be replayed now
        latest = outlook.latest
        if latest is None:
            raise Conflict("nothing can be restored yet: the first snapshot is not there")
        leading = [route for route in outlook.routes if route.window.line == latest.line]
        route = rules.widest(leading)
    backup = backups.get(session, route.base.key)
    restore = restores.recover(context, addon, backup, recovery.of_line(route.window.line))
    return backup, restore


def _target(form: RecoveryForm) -> Recovery:
    targets = {
        "targetTimestamp": form.target_timestamp,
        "beforeTransaction": form.before_transaction,
        "withTransaction": form.with_transaction,
    }
    named = {name: value for name, value in targets.items() if value is not None}
    if len(named) != 1:
        problem = f"exactly one of {', '.join(targets)} is wanted"
        raise Invalid(problem, {"targetTimestamp": problem})
    ((name, value),) = named.items()
    if name != "targetTimestamp":
        if not value.isdecimal():
            raise Invalid(f"{name} must be a number", {name: "must be a number"})
        return Recovery(transaction=value, inclusive=name == "withTransaction")
    try:
        if datetime.fromisoformat(value).tzinfo is None:
            raise ValueError(value)
        instant = parse_rfc3339(value)
    except (ValueError, OverflowError) as error:
        raise Invalid(f"{name} {_NO_TIME}", {name: _NO_TIME}) from error
    return Recovery(instant=instant, inclusive=form.inclusive)
