"""Removes leftovers of ended operations outside of the queue, for the janitor."""

from collections.abc import Callable, Mapping
from typing import Any

from holdfast.catalog import addons
from holdfast.catalog.schema import Operation
from holdfast.contracts.queue import Dispatch
from holdfast.domain.operation import Kind
from holdfast.jobs.core.job import Job
from holdfast.jobs.core.step import Plan
from holdfast.kit.processes.guard import Guard
from holdfast.usecases.toolbox import Toolbox


def remover(tools: Toolbox, plans: Mapping[Kind, Plan[Any]]) -> Callable[[Operation], None]:
    """A function that runs the `clean` of an operation's plan and passes on its errors."""

    def remove(operation: Operation) -> None:
        with tools.catalog.read() as session:
            addon = addons.get(session, operation.addon_pk)
            session.expunge(addon)
        dispatch = Dispatch(operation.id, operation.fence)
        guard = Guard(tools.clock)
        job = Job(tools, dispatch, addon, operation.arguments, guard, over=True)
        plan = plans[Kind(operation.kind)]
        plan.clean(job, plan.record.model_validate(operation.record))

    return remove
