"""The composition root: every concrete thing is named here once, and processes are built."""

import logging
import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import Any

import uvicorn
from fastapi import FastAPI

from holdfast import settings as config
from holdfast.api import serving
from holdfast.api.app import create_app
from holdfast.api.bounds import Bounds
from holdfast.api.state import Api
from holdfast.api.tails import Tails
from holdfast.api.throttle import Throttle
from holdfast.catalog import destinations, workers
from holdfast.catalog.clock import DatabaseClock
from holdfast.catalog.migrate import migrate
from holdfast.catalog.session import Catalog, CatalogAway, CatalogClash
from holdfast.conformance.machine import Finding, examine
from holdfast.conformance.store import check_store
from holdfast.contracts.engine import Engine
from holdfast.contracts.equipment import Equippable
from holdfast.contracts.files import Rooted
from holdfast.contracts.queue import Queue
from holdfast.contracts.store import ObjectStore
from holdfast.daemons.auditor import Auditor
from holdfast.daemons.janitor import Janitor
from holdfast.daemons.loop import Loop
from holdfast.daemons.pruner import Pruner
from holdfast.daemons.pulse import Pulse, Rhythm
from holdfast.daemons.reaper import Reaper
from holdfast.daemons.scheduler import Scheduler
from holdfast.daemons.supervisor import Supervisor
from holdfast.domain.errors import Invalid, NotSupported
from holdfast.domain.operation import ANY_LANE, Kind
from holdfast.domain.retention import DAY_MS, Policy
from holdfast.engines.registry import ENGINES, load_engine
from holdfast.jobs.backup import BACKUP
from holdfast.jobs.lifecycle import LIFECYCLE
from holdfast.jobs.refill import REFILL
from holdfast.jobs.repair import REPAIR
from holdfast.jobs.replicate import REPLICATE
from holdfast.jobs.restore import RESTORE
from holdfast.jobs.rewind import REWIND
from holdfast.jobs.runner import Drained, Plans, Runner
from holdfast.jobs.snapshot import SNAPSHOT
from holdfast.jobs.tidy import TIDY
from holdfast.jobs.toolbox import Running, Toolbox
from holdfast.kit import ids
from holdfast.kit.clock import Clock, SystemClock
from holdfast.kit.fetch import Network, Rules, parse_networks
from holdfast.kit.locks import join
from holdfast.kit.memory import keep_memory_steady
from holdfast.kit.seal import Sealer
from holdfast.kit.sign import Signer
from holdfast.queues.dbos import DbosQueue
from holdfast.queues.table import TableQueue
from holdfast.settings import Settings
from holdfast.stores.registry import location, open_store
from holdfast.usecases.context import House
from holdfast.usecases.tokens import ensure_owner

log = logging.getLogger(__name__)

PLANS: Plans = {
    Kind.BACKUP: BACKUP,
    Kind.SNAPSHOT: SNAPSHOT,
    Kind.RESTORE: RESTORE,
    Kind.REWIND: REWIND,
    Kind.REFILL: REFILL,
    Kind.COPY: REPLICATE,
    Kind.REPAIR: REPAIR,
    Kind.TIDY: TIDY,
    **LIFECYCLE,
}

_SUPERVISE_SECONDS = 1.0
_CLEAN_SECONDS = 5.0
_SCHEDULE_SECONDS = 1.0
_LAST_WORDS_SECONDS = 10.0
_HOUR_MS = 3_600_000


@dataclass(frozen=True)
class Parts:
    """What all processes of one installation share; opening it brings the schema up to date."""

    settings: Settings
    clock: Clock = field(default_factory=SystemClock)
    schedule_clock: Clock | None = None
    """What schedules and retention go by; None: the database's clock, which all hosts share."""

    @cached_property
    def catalog(self) -> Catalog:
        config.prepare_data_dir(self.settings)
        catalog = Catalog(self.settings.catalog_url)
        migrate(catalog)
        return catalog

    @cached_property
    def queue(self) -> Queue:
        match self.settings.queue:
            case "dbos":
                url = self.catalog.url.render_as_string(hide_password=False)
                return DbosQueue(url, self.clock, self.settings.queue_every)
            case "table":
                return TableQueue(self.catalog.engine)
            case other:
                raise Invalid(f"there is no queue {other!r}", {"queue": "one of dbos, table"})

    @cached_property
    def master(self) -> bytes:
        return config.master_key(self.settings)

    @cached_property
    def sealer(self) -> Sealer:
        return Sealer(self.master)

    @cached_property
    def node(self) -> str:
        return config.node_id(self.settings)

    @cached_property
    def _engines(self) -> dict[str, Engine]:
        return {kind: self._load_engine(kind) for kind in ENGINES}

    def _load_engine(self, kind: str) -> Engine:
        engine = load_engine(kind, self.settings.tools_path)
        if isinstance(engine, Rooted):
            engine.allow(self.settings.file_roots, self.settings.data_dir)
        return engine

    def engine(self, kind: str) -> Engine:
        """Raises Invalid for a kind that there is not."""
        if kind not in self._engines:
            problem = f"there is no addon type {kind!r}; there are {', '.join(ENGINES)}"
            raise Invalid(problem, {"type": problem})
        return self._engines[kind]

    @cached_property
    def _platform_store(self) -> ObjectStore:
        return open_store(*config.platform_store(self.settings))

    def store(self, destination_pk: int | None) -> ObjectStore:
        """The platform's own store for None, else that destination's."""
        if destination_pk is None:
            return self._platform_store
        with self.catalog.read() as session:
            destination = destinations.get(session, destination_pk)
            options = destinations.options(destination, self.sealer)
        return open_store(destination.kind, options)

    def locate(self, destination_pk: int | None, key: str) -> str:
        """Where a key of that store is, in the words of the stock snapshot tool."""
        if destination_pk is None:
            return location(*config.platform_store(self.settings), key)
        with self.catalog.read() as session:
            destination = destinations.get(session, destination_pk)
            options = destinations.options(destination, self.sealer)
        return location(destination.kind, options, key)

    @cached_property
    def toolbox(self) -> Toolbox:
        return Toolbox(
            catalog=self.catalog,
            queue=self.queue,
            clock=self.clock,
            sealer=self.sealer,
            node=self.node,
            data_dir=self.settings.data_dir,
            engines=self.engine,
            open_store=self.store,
            import_rules=self.import_rules,
            controls=config.attached_controls(self.settings),
        )

    @cached_property
    def import_rules(self) -> Rules:
        settings = self.settings
        return Rules(
            allowed=parse_networks(settings.import_networks),
            most_bytes=settings.import_bytes,
            most_seconds=settings.import_hours * 3600,
        )

    @cached_property
    def house(self) -> House:
        settings = self.settings
        rules = settings.import_bytes, settings.caps, settings.certificate_directories
        return House(self.queue, self.sealer, self.node, self.engine, *rules)


def build_api(parts: Parts) -> FastAPI:
    settings, bounds = parts.settings, bounds_of(parts.settings)
    return create_app(
        Api(
            catalog=parts.catalog,
            house=parts.house,
            policy=policy_of(settings),
            clock=parts.clock,
            data_dir=settings.data_dir,
            team=settings.team,
            public_url=settings.public_url.rstrip("/"),
            mask_secrets=settings.mask_secrets,
            bounds=bounds,
            throttle=Throttle(bounds, parts.clock),
            tails=Tails(bounds),
            proxies=_proxies(settings),
            signer=Signer(parts.master, "download"),
            engine_kinds=tuple(ENGINES),
            engines=parts.engine,
            open_store=parts.store,
            try_store=_try_store,
            locate=parts.locate,
            check_store=_first_problem,
        )
    )


def bounds_of(settings: Settings) -> Bounds:
    """How much the outside may take of this process."""
    return Bounds(**{each.name: getattr(settings, each.name) for each in fields(Bounds)})


def listener_config(parts: Parts) -> uvicorn.Config:
    """How the API listens: over TLS when there is a certificate."""
    settings = parts.settings
    tls, proxies = config.tls_files(settings), _proxies(settings)
    return serving.config(build_api(parts), bounds_of(settings), tls, proxies)


def _proxies(settings: Settings) -> tuple[Network, ...]:
    return parse_networks(settings.trusted_proxies, "trusted_proxies")


def _try_store(kind: str, options: Mapping[str, Any]) -> ObjectStore:
    if kind != "s3":
        raise NotSupported(f"destinations of type {kind!r} cannot be added")
    return open_store(kind, options)


def _first_problem(store: ObjectStore, prefix: str) -> str | None:
    broken = check_store(store, prefix).broken
    return f"{broken.name}: {broken.detail}" if broken else None


def make_owner(parts: Parts) -> bool:
    """The first owner token, into `owner.token` unless it was given. True: a file was written."""
    given = parts.settings.owner_token
    try:
        with parts.catalog.write() as session:
            made = ensure_owner(session, given, parts.clock.now())
            if made is None or given is not None:
                return False
            config.write_private(parts.settings.data_dir / "owner.token", made.reveal())
    except CatalogClash:
        return False  # another process that starts right now added the same token
    return True


def policy_of(settings: Settings) -> Policy:
    """How retention works here."""
    return Policy(
        share=settings.prune_share,
        grace_ms=round(settings.prune_grace * _HOUR_MS),
        every_ms=round(settings.prune_every * 1000),
        history_ms=settings.history * DAY_MS,
    )


class SchedulerProcess:
    """Decides when, and cleans up behind everybody."""

    def __init__(self, parts: Parts) -> None:
        clock = parts.schedule_clock or DatabaseClock(parts.catalog, parts.clock)
        tools = replace(parts.toolbox, clock=clock)
        scheduler = Scheduler(tools, round(parts.settings.catch_up * _HOUR_MS))
        policy = policy_of(parts.settings)
        audit_every = round(parts.settings.audit_every * _HOUR_MS)
        read_within = round(parts.settings.read_within * DAY_MS)
        self._loops = [
            Loop("scheduler", _SCHEDULE_SECONDS, scheduler.round),
            Loop("janitor", _CLEAN_SECONDS, Janitor(tools, PLANS, policy).round),
            Loop("pruner", _CLEAN_SECONDS, Pruner(tools, policy).round),
            Loop("auditor", _CLEAN_SECONDS, Auditor(tools, audit_every, read_within).round),
        ]

    def start(self) -> None:
        for loop in self._loops:
            loop.start()

    def drain(self) -> None:
        for loop in self._loops:
            loop.stop()


class WorkerProcess:
    """Everything that works in the background of one process."""

    def __init__(self, parts: Parts) -> None:
        settings, tools = parts.settings, parts.toolbox
        self._parts = parts
        self._running = Running()
        self._worker = f"{parts.node}-{os.getpid()}-{ids.hex24()[:6]}"
        rhythm = Rhythm(settings.beat, settings.dead, settings.stall)
        self._pulse = Pulse(tools, self._running, self._worker, rhythm)
        self._reaper = Reaper(tools, self._pulse, rhythm)
        self._supervisor = Supervisor(tools, settings.data_dir / "supervisor.lock")
        self._runner = Runner(tools, PLANS, self._running, self._worker)
        self._presence, self._alone = join(settings.data_dir / "workers.lock")
        self._beating = Loop("pulse", settings.beat, self._pulse.round)
        self._loops = [
            Loop("reaper", max(settings.beat, settings.dead / 10), self._reaper.round),
            Loop("supervisor", _SUPERVISE_SECONDS, self._supervisor.round),
        ]

    def start(self) -> None:
        keep_memory_steady()
        tools = self._parts.toolbox
        if self._alone:
            with tools.catalog.write() as session:
                workers.leave_node(session, tools.node)
        self._pulse.round()
        self._beating.start()
        tools.queue.run_worker(
            self._worker,
            self._runner.run,
            self._parts.settings.concurrency,
            [ANY_LANE, tools.node],
        )
        if self._alone:
            self._reaper.reap_departed()
            self._reaper.find_lost()
        for loop in self._loops:
            loop.start()

    def drain(self) -> None:
        """Finishes what it can within the grace and leaves the rest to others, still beating."""
        for loop in self._loops:
            loop.stop()
        self._parts.queue.drain(self._parts.settings.grace)
        self._let_go()
        self._supervisor.stop_all()
        self._beating.stop()
        self._leave()
        self._presence.close()

    def _leave(self) -> None:
        try:
            with self._parts.catalog.write() as session:
                workers.leave(session, self._worker)
        except CatalogAway as error:
            log.warning("left without a word", extra={"error": str(error.orig)})

    def _let_go(self) -> None:
        for _, guard, _ in self._running.all():
            guard.stop(Drained("the worker is stopping"))
        waiting = threading.Event()
        deadline = self._parts.clock.monotonic() + _LAST_WORDS_SECONDS
        while self._running.all() and self._parts.clock.monotonic() < deadline:
            waiting.wait(0.05)


def diagnose(parts: Parts) -> list[Finding]:
    return examine(parts.settings.data_dir, parts.clock, [parts.engine(kind) for kind in ENGINES])


def list_tools(parts: Parts) -> list[dict[str, str]]:
    """Installed tools first, then what could be installed."""
    rows: list[dict[str, str]] = []
    for kind in ENGINES:
        engine = parts.engine(kind)
        if isinstance(engine, Equippable):
            rows += [
                {"kind": kind, "version": t.version, "origin": t.origin, "place": str(t.directory)}
                for t in engine.tools()
            ]
            rows += [
                {"kind": kind, "version": version, "origin": "can be installed", "place": ""}
                for version in engine.installable()
            ]
    return rows


def install_tools(parts: Parts, kind: str, version: str) -> str:
    """Returns where they are now."""
    engine = parts.engine(kind)
    if not isinstance(engine, Equippable):
        raise NotSupported(f"there are no tools of {engine.title} to install")
    installed = engine.install(version)
    return f"{engine.title} {installed.version} in {installed.directory}"
