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
from holdfast.catalog.database.session import CatalogAway, ReadSession
from holdfast.catalog.schema import Addon, Backup, Operation
from holdfast.catalog.work import journal, leftovers, operations
from holdfast.catalog.work.operations import Ending
from holdfast.contracts.queue import Dispatch
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
        with self.tracer.span(f"operation {operation.kind}", attributes) as span:
            self._run(replace(job, span=span), operation)

    def _run(self, job: Job, operation: Operation) -> None:
        dispatch, op = job.dispatch, job.dispatch.op
        plan = self.plans[Kind(operation.kind)]
        self.running.enter(dispatch, job.guard, writes=plan.writes)
        try:
            if operation.status in OVER:  # not all of its leftovers could be removed before
                _, left = self._clean(plan, job, plan.record.model_validate(operation.record))
                _insist(lambda: self._write_cleaned(dispatch, left=left))
            else:
                self._carry_out(plan, job, operation)
        except FencedOff:
            job.span.set(_OUTCOME, "left to others")
            log.info("operation left to others", extra={"op": op, "why": FencedOff.code})
        except Drained:
            job.span.set(_OUTCOME, "handed over")
            self._hand_over(dispatch)
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
            attributes = _attributes(session, operation, addon)
        guard, over = Guard(tools.clock), operation.status in OVER
        job = Job(tools, dispatch, addon, operation.arguments, guard, over=over)
        return job, operation, attributes

    def _hand_over(self, dispatch: Dispatch) -> None:
        """Leaves the operation to another worker. If this cannot be written, the missing heartbeat
        does the same."""
        try:
            with self.tools.catalog.write() as session:
                operations.hand_over(session, self.tools.queue, dispatch)
                text = "its worker is stopping; the next one starts it again"
                journal.write(session, dispatch.op, self.tools.clock.now(), text)
        except CatalogAway as error:
            log.warning("not handed over", extra={"op": dispatch.op, "error": str(error.orig)})

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
            reason = error.message
            _insist(lambda: self._start_again(job.dispatch, reason))
        except Exception as error:  # noqa: BLE001 - every failure is an ending with a reason
            ending = _ending_of(error)
            # First the row says that no worker goes on with it; only then anything is removed.
            _insist(lambda: self._decide(job.dispatch, ending))
            self._conclude(plan, job, record, ending)
        else:
            ending = Ending(Status.COMPLETED)
            _insist(lambda: self._write_ending(plan, job, record, ending))

    def _start_again(self, dispatch: Dispatch, reason: str) -> None:
        with self.tools.catalog.write() as session:
            if not operations.take_over(session, self.tools.queue, dispatch):
                raise FencedOff
            text = f"{reason}; it is started again"
            journal.write(session, dispatch.op, self.tools.clock.now(), text)

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
        job.span.set(_OUTCOME, ended.status)
        if ending.code is not None:
            job.span.fail(ending.code)


def _attributes(session: ReadSession, operation: Operation, addon: Addon) -> Attributes:
    """Of the span of an attempt."""
    attributes: dict[str, Attribute] = {
        "holdfast.operation": operation.id,
        "holdfast.kind": operation.kind,
        "holdfast.addon": addon.id,
        "holdfast.addon.type": addon.kind,
        "holdfast.attempt": operation.attempt,
        "holdfast.lane": operation.lane,
    }
    backup = session.get(Backup, operation.arguments.get("backup", 0))
    return attributes if backup is None else {**attributes, "holdfast.backup": backup.id}


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
