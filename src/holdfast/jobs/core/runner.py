"""Runs one dispatched operation to its end, or as far as this worker lives.

Never raises: any failure becomes the operation's ending. An ending that cannot be written (the
catalogue is away) is retried until it is written or another worker has taken over. A worker that is
fenced off cleans up nothing either: what it finds may be its successor's. And nothing is cleaned up
before the row says that the operation will end badly: a worker that is paused between its last look
at the row and the removal would otherwise destroy what a successor completed meanwhile.
"""

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from holdfast.catalog import addons
from holdfast.catalog.database.session import CatalogAway, WriteSession
from holdfast.catalog.schema import Backup, Operation
from holdfast.catalog.work import journal, leftovers, operations
from holdfast.catalog.work.operations import Ending
from holdfast.contracts.queue import Dispatch, Queue
from holdfast.domain.errors import Failure, FencedOff, Interrupted, NotSupported, WorkerLost
from holdfast.domain.operation import MAX_ATTEMPTS, OVER, Kind, Status
from holdfast.jobs.core.job import AWAY_SECONDS, Job
from holdfast.jobs.core.step import Plan, Step, remaining
from holdfast.kit.processes.guard import Guard
from holdfast.kit.telemetry.traces import UNTRACED, Attribute, Tracer
from holdfast.usecases.running_jobs import Running
from holdfast.usecases.toolbox import Toolbox

log = logging.getLogger(__name__)

T = TypeVar("T")
Plans = Mapping[Kind, Plan[Any]]

Attributes = Mapping[str, Attribute]
Redispatch = Callable[[WriteSession, Queue, Dispatch], bool]
_OUTCOME = "holdfast.outcome"


class Drained(Failure):
    """This worker is stopping; another one goes on with the operation."""

    code = "drained"


@dataclass(frozen=True)
class Runner:
    tools: Toolbox
    plans: Plans
    running: Running
    worker: str
    tracer: Tracer = UNTRACED

    def run(self, op: str, fence: int) -> None:
        dispatch = Dispatch(op, fence)
        begun = _insist(lambda: self._begin(dispatch))
        if begun is None:
            return
        job, operation, attributes = begun
        plan = self.plans[Kind(operation.kind)]
        with self.tracer.span(f"operation {operation.kind}", attributes) as span:
            job = replace(job, span=span)
            self.running.enter(dispatch, job.guard, writes=plan.writes)
            try:
                if operation.status in OVER:  # not all of its leftovers could be removed before
                    _, left = self._clean(plan, job, plan.record.model_validate(operation.record))
                    _insist(lambda: self._write_cleaned(dispatch, left=left))
                else:
                    self._carry_out(plan, job, operation)
            except FencedOff:
                span.set(_OUTCOME, "left to others")
                log.info("operation left to others", extra={"op": op, "why": FencedOff.code})
            except Drained:
                span.set(_OUTCOME, "handed over")
                reason = "its worker is stopping; the next one starts it again"
                try:
                    self._dispatch_again(operations.hand_over, dispatch, reason)
                except (*CatalogAway, FencedOff) as error:
                    # Without a row that says so the missing heartbeat does the same.
                    cause = str(getattr(error, "orig", error))
                    log.warning("not handed over", extra={"op": op, "error": cause})
            except Exception:
                log.exception("operation could not be ended", extra={"op": op})
            finally:
                self.running.leave(dispatch)

    def _begin(self, dispatch: Dispatch) -> tuple[Job, Operation, Attributes] | None:
        tools = self.tools
        with tools.catalog.write() as session:
            operation = operations.begin(session, dispatch, self.worker, tools.clock.now())
            if operation is None:
                return None
            addon = addons.get(session, operation.addon_pk)
            backup = session.get(Backup, operation.arguments.get("backup", 0))
        attributes: dict[str, Attribute] = {
            "holdfast.operation": operation.id,
            "holdfast.kind": operation.kind,
            "holdfast.addon": addon.id,
            "holdfast.addon.type": addon.kind,
            "holdfast.attempt": operation.attempt,
            "holdfast.lane": operation.lane,
            **({} if backup is None else {"holdfast.backup": backup.id}),
        }
        guard, over = Guard(tools.clock), operation.status in OVER
        job = Job(tools, dispatch, addon, operation.arguments, guard, over=over)
        return job, operation, attributes

    def _dispatch_again(self, change: Redispatch, dispatch: Dispatch, reason: str) -> None:
        """Leaves the operation to the next worker, and says so in its log."""
        with self.tools.catalog.write() as session:
            if not change(session, self.tools.queue, dispatch):
                raise FencedOff
            journal.write(session, dispatch.op, self.tools.clock.now(), reason)

    def _carry_out(self, plan: Plan[Any], job: Job, operation: Operation) -> None:
        record = plan.record.model_validate(operation.record)
        if operation.verdict is not None:
            code, reason = operation.error_code, operation.reason
            self._conclude(plan, job, record, Ending(Status(operation.verdict), code, reason))
            return
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
                with self.tracer.span(step.name, {}):
                    record = _work(step, job, record)
                job.save(step.name, record.model_dump(mode="json"))
        except (FencedOff, Drained):
            raise
        except WorkerLost as error:
            # Others were free to take it; when none did it goes on here, as an attempt of its own.
            reason = f"{error.message}; it is started again"
            _insist(lambda: self._dispatch_again(operations.take_over, job.dispatch, reason))
        except Exception as error:  # noqa: BLE001 - every failure is an ending with a reason
            ending = _ending_of(error)
            # First the row says that no worker goes on with it; only then anything is removed.
            _insist(lambda: self._decide(job.dispatch, ending))
            self._conclude(plan, job, record, ending)
        else:
            ending = Ending(Status.COMPLETED)
            _insist(lambda: self._write_ending(plan, job, record, ending))

    def _conclude(self, plan: Plan[Any], job: Job, record: Any, ending: Ending) -> None:
        state, left = self._clean(plan, job, record)
        reason = f"{ending.reason}{f' ({state})' if state else ''}"
        final = Ending(ending.status, ending.code, reason, left)
        _insist(lambda: self._write_ending(plan, job, record, final))

    def _decide(self, dispatch: Dispatch, ending: Ending) -> None:
        with self.tools.catalog.write() as session:
            if not operations.decide(session, dispatch, ending):
                raise FencedOff

    def _write_cleaned(self, dispatch: Dispatch, *, left: bool) -> None:
        with self.tools.catalog.write() as session:
            leftovers.cleaned(session, self.tools.queue, dispatch, left=left)

    def _clean(self, plan: Plan[Any], job: Job, record: Any) -> tuple[str, bool]:
        try:
            return plan.clean(job, record), False
        except FencedOff:
            raise
        except Exception as error:  # noqa: BLE001 - the janitor tries again, the row remembers
            log.warning("leftovers remain", extra={"op": job.dispatch.op, "error": str(error)})
            return f"leftovers remain and will be removed: {error}", True

    def _write_ending(self, plan: Plan[Any], job: Job, record: Any, ending: Ending) -> None:
        now = self.tools.clock.now()
        with self.tools.catalog.write() as session:
            ended = operations.finish(session, self.tools.queue, job.dispatch, ending, now)
            if ended is None:
                raise FencedOff
            if ending.status is Status.COMPLETED:
                plan.publish(session, job, record)
            else:
                plan.failed(session, job, record)
            text = f"{ended.status}: {ended.reason}" if ended.reason else ended.status
            journal.write(session, job.dispatch.op, now, text)
            status, told = ended.status, {"op": ended.id, "kind": ended.kind, "error": ended.reason}
        if status in (Status.FAILED, Status.NOT_SUPPORTED):
            # A reason is what people are shown, so no secret is in it.
            log.warning("operation failed", extra={**told, "addon": job.addon.id})
        job.span.set(_OUTCOME, status)
        if ending.code is not None:
            job.span.fail(ending.code)


def _work(step: Step[Any], job: Job, record: Any) -> Any:
    """Runs a step; one that finds the catalogue away is repeated as a whole when it is back."""
    while True:
        try:
            return step.work(job, record)
        except CatalogAway as error:
            job.await_catalog(str(error.orig))


def _insist(change: Callable[[], T]) -> T:
    """Retries while the catalogue is away. Does not use the guard's wait, because a stopped
    operation must still write its ending."""
    while True:
        try:
            return change()
        except CatalogAway as error:
            log.warning("catalogue away, trying again", extra={"error": str(error.orig)})
            threading.Event().wait(AWAY_SECONDS)


def _ending_of(error: Exception) -> Ending:
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
