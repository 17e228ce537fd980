"""Runs one dispatched operation to its end, or as far as this worker lives.

Never raises: whatever happens becomes the operation's ending. An ending that cannot be written
(the catalogue is away) is tried until it lands or the fence says somebody else took over.
"""

import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from holdfast.catalog import addons, journal, operations
from holdfast.catalog.operations import Ending
from holdfast.catalog.schema import Operation
from holdfast.catalog.session import CatalogAway
from holdfast.contracts.queue import Dispatch
from holdfast.domain.errors import Failure, FencedOff, Interrupted, NotSupported
from holdfast.domain.operation import MAX_ATTEMPTS, Kind, Status
from holdfast.jobs.step import Plan, remaining
from holdfast.jobs.toolbox import Job, Running, Toolbox
from holdfast.kit.guard import Guard

log = logging.getLogger(__name__)

_RETRY_SECONDS = 1.0
Plans = Mapping[Kind, Plan[Any]]


class Drained(Failure):
    """This worker is stopping; another one goes on with the operation."""

    code = "drained"


@dataclass(frozen=True)
class Runner:
    tools: Toolbox
    plans: Plans
    running: Running
    worker: str

    def run(self, op: str, fence: int) -> None:
        what = Dispatch(op, fence)
        guard = Guard(self.tools.clock)
        operation = self._begin(what)
        if operation is None:
            return
        plan = self.plans[Kind(operation.kind)]
        job = self._job(operation, what, guard)
        self.running.enter(what, guard, writes=plan.writes)
        try:
            self._carry_out(plan, job, operation)
        except (FencedOff, Drained) as error:
            log.info("operation left to others", extra={"op": op, "why": error.code})
        except Exception:
            log.exception("operation could not be ended", extra={"op": op})
        finally:
            self.running.leave(what)

    def _begin(self, what: Dispatch) -> Operation | None:
        while True:
            try:
                with self.tools.catalog.write() as session:
                    now = self.tools.clock.now()
                    return operations.begin(session, what, self.worker, now)
            except CatalogAway as error:
                log.warning("catalogue away, trying again", extra={"error": str(error.orig)})
                _pause()

    def _job(self, operation: Operation, what: Dispatch, guard: Guard) -> Job:
        with self.tools.catalog.read() as session:
            addon = addons.get(session, operation.addon_pk)
            session.expunge(addon)
        return Job(self.tools, what, addon, operation.arguments, guard)

    def _carry_out(self, plan: Plan[Any], job: Job, operation: Operation) -> None:
        record = plan.record.model_validate(operation.record)
        try:
            if operation.status == Status.ABORTING:
                raise Interrupted("aborted on request")
            if operation.attempt > MAX_ATTEMPTS:
                raise Failure(f"given up after {MAX_ATTEMPTS} attempts that lost their worker")
            if operation.attempt > 1:
                job.say(f"taken over: attempt {operation.attempt}")
            for step in remaining(plan, operation.step):
                job.guard.check()
                job.say(step.says)
                record = step.work(job, record)
                job.save(step.name, record.model_dump(mode="json"))
        except (FencedOff, Drained):
            raise
        except Exception as error:  # noqa: BLE001 - every failure is an ending with a reason
            self._end_badly(plan, job, record, _verdict(error))
        else:
            self._end(plan, job, record, Ending(Status.COMPLETED))

    def _end_badly(self, plan: Plan[Any], job: Job, record: Any, ending: Ending) -> None:
        state, litter = self._clean(plan, job, record)
        reason = f"{ending.reason}{f' ({state})' if state else ''}"
        self._end(plan, job, record, Ending(ending.status, ending.code, reason, litter))

    def _clean(self, plan: Plan[Any], job: Job, record: Any) -> tuple[str, bool]:
        try:
            return plan.clean(job, record), False
        except Exception as error:  # noqa: BLE001 - the janitor tries again, the row remembers
            log.warning("leftovers remain", extra={"op": job.what.op, "error": str(error)})
            return f"leftovers remain and will be removed: {error}", True

    def _end(self, plan: Plan[Any], job: Job, record: Any, ending: Ending) -> None:
        while True:
            try:
                self._write_ending(plan, job, record, ending)
            except CatalogAway as error:
                log.warning("ending not written, trying again", extra={"error": str(error.orig)})
                _pause()
            else:
                return

    def _write_ending(self, plan: Plan[Any], job: Job, record: Any, ending: Ending) -> None:
        now = self.tools.clock.now()
        with self.tools.catalog.write() as session:
            ended = operations.finish(session, self.tools.queue, job.what, ending, now)
            if ended is None:
                raise FencedOff
            if ending.status is Status.COMPLETED:
                plan.publish(session, job, record)
            text = f"{ended.status}: {ended.reason}" if ended.reason else ended.status
            journal.write(session, job.what.op, now, text)


def _pause() -> None:
    """Not the guard's wait: a stopped operation still has to write how it ended."""
    threading.Event().wait(_RETRY_SECONDS)


def _verdict(error: Exception) -> Ending:
    match error:
        case Interrupted():
            return Ending(Status.ABORTED, error.code, error.message)
        case NotSupported():
            return Ending(Status.NOT_SUPPORTED, error.code, error.message)
        case Failure():
            return Ending(Status.FAILED, error.code, error.message)
        case _:
            log.error("operation met an unknown failure", exc_info=error)
            return Ending(Status.FAILED, "internal", f"internal error: {type(error).__name__}")
