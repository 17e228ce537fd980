"""Parts: what all processes of one installation share."""

import os
from dataclasses import dataclass, field
from functools import cached_property

from holdfast import settings as config
from holdfast.catalog import destinations
from holdfast.catalog.migrate import migrate
from holdfast.catalog.session import Catalog
from holdfast.contracts.engine import Engine
from holdfast.contracts.files import Rooted
from holdfast.contracts.queue import Queue
from holdfast.contracts.store import ObjectStore
from holdfast.domain.errors import Invalid
from holdfast.engines.registry import ENGINES, load_engine
from holdfast.jobs.toolbox import Toolbox
from holdfast.kit.clock import Clock, SystemClock
from holdfast.kit.fetch import Rules, parse_networks
from holdfast.kit.seal import Sealer
from holdfast.queues.dbos import DbosQueue
from holdfast.queues.table import TableQueue
from holdfast.settings import Settings
from holdfast.stores.registry import location, open_store
from holdfast.usecases.context import House


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
            server_uids=self.settings.server_uid_range if os.geteuid() == 0 else None,
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
