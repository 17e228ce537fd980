"""Objectives: what was promised for an addon, a project or all of them."""

from holdfast.catalog import objectives, protected_rows
from holdfast.catalog.objectives import Scope
from holdfast.domain.errors import Invalid
from holdfast.domain.protection import Objective, problems
from holdfast.domain.units import DAY_MS, MINUTE_MS
from holdfast.usecases.context import Context
from holdfast.usecases.forms.objectives import ObjectiveForm


def put(context: Context, scope: Scope, form: ObjectiveForm) -> Objective:
    """Replaces the objective of a scope.

    Raises Invalid, naming the field, when the schedules of an addon cannot meet it.
    """
    objective = Objective(
        max_age_ms=_times(form.max_age_minutes, MINUTE_MS),
        max_restore_ms=_times(form.max_restore_minutes, MINUTE_MS),
        proof_ms=_times(form.proven_within_days, DAY_MS),
        places=form.places,
    )
    _, addon_pk = scope
    if addon_pk is not None:
        facts = protected_rows.row_of(context.session, addon_pk).facts
        wrong = problems(objective, facts)
        if wrong:
            raise Invalid("the objective makes no sense for this addon", wrong)
    objectives.put(context.session, scope, objective, context.now)
    return objective


def _times(count: int | None, unit_ms: int) -> int | None:
    return None if count is None else count * unit_ms
