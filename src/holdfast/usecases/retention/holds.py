"""Holds retention and lets it go on: while it is held, no backup goes because of its age."""

from holdfast.catalog.storage import deletions
from holdfast.domain.errors import Forbidden
from holdfast.usecases.context import Context


def hold(context: Context, reason: str) -> None:
    """Stops retention of the whole installation at once.

    What is deleted by hand goes on, and so does what had begun: its objects may be gone already.
    """
    _require_all_projects(context)
    deletions.place_hold(context.session, context.caller.name, reason, context.now)


def release(context: Context, grace_ms: int) -> None:
    """Lets retention go on after the grace period, so that nothing goes the moment it is lifted."""
    _require_all_projects(context)
    deletions.lift_hold(context.session, context.now + grace_ms)


def _require_all_projects(context: Context) -> None:
    if context.caller.projects is not None:
        raise Forbidden("retention is held for all projects, so only by those that see them all")
