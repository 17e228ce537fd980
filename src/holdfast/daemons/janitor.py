"""Cleans up behind everybody: leftovers of failed attempts, answers that nobody repeats."""

import logging
from collections.abc import Mapping
from typing import Any

from holdfast.catalog import addons, operations, replays
from holdfast.catalog.schema import Operation
from holdfast.contracts.queue import Dispatch
from holdfast.domain.operation import Kind
from holdfast.jobs.step import Plan
from holdfast.jobs.toolbox import Job, Toolbox
from holdfast.kit.guard import Guard

log = logging.getLogger(__name__)


class Janitor:
    def __init__(self, tools: Toolbox, plans: Mapping[Kind, Plan[Any]]) -> None:
        self._tools = tools
        self._plans = plans
        self._looked_at = 0

    def round(self) -> None:
        with self._tools.catalog.read() as session:
            littered = operations.littered(session, self._looked_at)
            session.expunge_all()
        # All get their turn, however many cannot be cleaned up just now.
        self._looked_at = littered[-1].pk if littered else 0
        for operation in littered:
            self._clean(operation)
        with self._tools.catalog.write() as session:
            replays.forget_old(session, self._tools.clock.now())

    def _clean(self, operation: Operation) -> None:
        plan = self._plans[Kind(operation.kind)]
        try:
            plan.clean(self._job(operation), plan.record.model_validate(operation.record))
        except Exception as error:  # noqa: BLE001 - one that fails must not hold up the others
            log.warning("leftovers remain", extra={"op": operation.id, "error": str(error)})
            return
        with self._tools.catalog.write() as session:
            operations.cleaned(session, operation.id)

    def _job(self, operation: Operation) -> Job:
        with self._tools.catalog.read() as session:
            addon = addons.get(session, operation.addon_pk)
            session.expunge(addon)
        what = Dispatch(operation.id, operation.fence)
        guard = Guard(self._tools.clock)
        return Job(self._tools, what, addon, operation.arguments, guard, over=True)
