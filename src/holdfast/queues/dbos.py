"""DBOS Transact as the durable queue: enqueues in our transaction, claims, runs, drains.

Only its public API is used, and only to carry dispatches: a workflow is one call of `run`, its id
is `<operation>.<fence>`, so a dispatch is enqueued once. Its recovery, cancellation and schedules
are not used (docs/adr/0003): the executor id is new at every start, so it never finds work of its
own to recover, and the application version is a constant, so an upgrade finds older rows.
"""

import logging
from collections.abc import Collection, Mapping
from datetime import UTC, datetime

from dbos import DBOS, DBOSClient, run_dbos_database_migrations
from sqlalchemy import Connection, Engine

from holdfast.contracts.queue import Dispatch, RunOne
from holdfast.kit.clock import Clock

_APP = "holdfast"
_VERSION = "ops-v1"
_WORKFLOW = "run-operation"
_OVER = frozenset({"SUCCESS", "ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED"})
_KEEP_MS = 24 * 3600 * 1000


def _key(dispatch: Dispatch) -> str:
    return f"{dispatch.op}.{dispatch.fence}"


class DbosQueue:
    """One process's access to the queue in the catalogue's own database."""

    def __init__(
        self,
        url: str,
        clock: Clock,
        every: float,
        engine: Engine | None = None,
        patient_lanes: Mapping[str, float] = {},
    ) -> None:
        """`every`: seconds between a worker's polls; `patient_lanes`: those of lanes with others.
        `engine`: connections with a time limit for answers; None: DBOS' own."""
        self._url = url
        self._engine = engine
        self._clock = clock
        self._every = every
        self._patient_lanes = patient_lanes
        logging.getLogger("dbos").setLevel(logging.WARNING)
        run_dbos_database_migrations(system_database_url=url)
        self._client = DBOSClient(
            system_database_url=url, application_name=_APP, system_database_engine=engine
        )

    def dispatch(
        self, connection: Connection, dispatch: Dispatch, priority: int, lane: str
    ) -> None:
        self._client.enqueue_in_transaction(
            connection,
            {
                "workflow_name": _WORKFLOW,
                "queue_name": lane,
                "workflow_id": _key(dispatch),
                "app_version": _VERSION,
                "priority": priority,
            },
            dispatch.op,
            dispatch.fence,
        )

    def orphans(self, live_workers: Collection[str]) -> list[Dispatch]:
        claimed = self._client.list_workflows(
            status="PENDING", name=_WORKFLOW, load_input=False, load_output=False
        )
        orphaned = [w.workflow_id for w in claimed if w.executor_id not in live_workers]
        parts = [workflow_id.rpartition(".") for workflow_id in orphaned]
        return [Dispatch(op, int(fence)) for op, _, fence in parts]

    def lost(self, dispatched: Collection[Dispatch]) -> list[Dispatch]:
        # DBOS keeps the rows of ended work for ever: drop those older than a day.
        before = datetime.fromtimestamp((self._clock.now() - _KEEP_MS) / 1000, tz=UTC).isoformat()
        over = self._client.list_workflows(
            status=sorted(_OVER), end_time=before, limit=1000, load_input=False, load_output=False
        )
        if over:
            self._client.delete_workflows([w.workflow_id for w in over])
        if not dispatched:
            return []
        workflows = self._client.list_workflows(
            workflow_ids=[_key(dispatch) for dispatch in dispatched],
            load_input=False,
            load_output=False,
        )
        alive = {w.workflow_id for w in workflows if w.status not in _OVER}
        return [dispatch for dispatch in dispatched if _key(dispatch) not in alive]

    def forget(self, dispatch: Dispatch) -> None:
        self._client.cancel_workflow(_key(dispatch))

    def run_worker(self, worker: str, run: RunOne, lanes: Mapping[str, int]) -> None:
        @DBOS.workflow(name=_WORKFLOW)
        def run_operation(op: str, fence: int) -> None:  # pyright: ignore[reportUnusedFunction]
            run(op, fence)

        DBOS(
            config={
                "name": _APP,
                "system_database_url": self._url,
                "system_database_engine": self._engine,
                "executor_id": worker,
                "application_version": _VERSION,
                "enable_otlp": False,
                "log_level": "WARNING",
                # Of events and schedules, which we have none of; it would look 20 times a second.
                "notification_coalesce_sec": 1.0,
                "scheduler_polling_interval_sec": 60.0,
            }
        )
        # before launch, which starts polling the lanes it finds
        for lane, concurrency in lanes.items():
            self._client.register_queue(
                lane,
                worker_concurrency=concurrency,
                polling_interval_sec=self._patient_lanes.get(lane, self._every),
            )
        DBOS.listen_queues(list(lanes))
        DBOS.launch()

    def drain(self, grace_seconds: float) -> None:
        DBOS.destroy(workflow_completion_timeout_sec=round(grace_seconds))
        self._client.destroy()
        if self._engine is not None:
            self._engine.dispose()
