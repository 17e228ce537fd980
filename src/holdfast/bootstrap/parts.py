"""The parts that all processes of one installation share."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from threading import Lock
from typing import Any

from holdfast import settings as config
from holdfast.catalog import destinations, master_key
from holdfast.catalog.database.migrate import migrate
from holdfast.catalog.database.session import PATIENCE, Catalog
from holdfast.catalog.proof import reports
from holdfast.catalog.storage import store_marks
from holdfast.contracts.engine import Engine
from holdfast.contracts.files import Rooted
from holdfast.contracts.queue import Queue
from holdfast.contracts.store import ObjectStore
from holdfast.domain.errors import Invalid, StoreUnavailable
from holdfast.domain.operation import DRILL_LANE
from holdfast.domain.units import HOUR_MS
from holdfast.engines.registry import ENGINES, load_engine
from holdfast.kit.clock import Clock, SystemClock
from holdfast.kit.fetch import Rules, parse_networks
from holdfast.kit.seal import Sealer
from holdfast.kit.sign import Stamp
from holdfast.queues.dbos import DbosQueue
from holdfast.queues.table import TableQueue
from holdfast.settings import Settings
from holdfast.stores.local.marking import holds_objects, make_mark, read_mark
from holdfast.stores.measured import MeasuredStore, Meter
from holdfast.stores.registry import location, open_store, settle
from holdfast.usecases.context import Services
from holdfast.usecases.toolbox import Toolbox
from holdfast.views.metrics.stored import PLATFORM, StoredBytes

_PATIENCE_SHARE = 0.6
"""Share of `dead`, after which others take over, that the catalogue may take for an answer."""
_ASK_AGAIN_SECONDS = 600.0


@dataclass(frozen=True)
class Parts:
    """The shared parts, made on first use. Opening the catalogue brings its schema up to date."""

    settings: Settings
    clock: Clock = field(default_factory=SystemClock)
    schedule_clock: Clock | None = None
    """The clock of schedules and retention; None: the database's, which all hosts share."""
    _engines: dict[str, Engine] = field(default_factory=dict[str, Engine], init=False)
    _loading: Lock = field(default_factory=Lock, init=False)

    @cached_property
    def catalog(self) -> Catalog:
        config.prepare_data_dir(self.settings)
        patience = min(PATIENCE, _PATIENCE_SHARE * self.settings.dead)
        catalog = Catalog(self.settings.catalog_url, patience)
        migrate(catalog)
        return catalog

    @cached_property
    def queue(self) -> Queue:
        match self.settings.queue:
            case "dbos":
                url = self.catalog.url.render_as_string(hide_password=False)
                engine, every = self.catalog.engine_of_its_own(), self.settings.queue_every
                return DbosQueue(url, self.clock, every, engine, {DRILL_LANE: 4 * every})
            case "table":
                return TableQueue(self.catalog.engine)
            case other:
                raise Invalid(f"there is no queue {other!r}", {"queue": "one of dbos, table"})

    @cached_property
    def master(self) -> bytes:
        """Raises MasterKeyMissing or MasterKeyWrong unless it sealed the catalogue's secrets."""
        find = partial(config.find_master_key, self.settings)
        make = partial(config.make_master_key, self.settings)
        with self.catalog.write() as session:
            key = master_key.settle(session, find, make)
            reports.settle_key(session, Sealer(key), self.clock.now())
            return key

    @cached_property
    def sealer(self) -> Sealer:
        return Sealer(self.master)

    @cached_property
    def stamp(self) -> Stamp:
        return Stamp(self.master, "manifests")

    @cached_property
    def node(self) -> str:
        return config.node_id(self.settings)

    def engine(self, kind: str) -> Engine:
        """Loads an engine when it is asked for first: their libraries take a tenth of the memory.

        Raises Invalid for an unknown kind.
        """
        if kind not in ENGINES:
            problem = f"there is no addon type {kind!r}; there are {', '.join(ENGINES)}"
            raise Invalid(problem, {"type": problem})
        with self._loading:
            if kind not in self._engines:
                engine = load_engine(kind, self.settings.tools_path)
                if isinstance(engine, Rooted):
                    engine.allow(self.settings.file_roots, self.settings.data_dir)
                self._engines[kind] = engine
            return self._engines[kind]

    @cached_property
    def _platform_store(self) -> ObjectStore:
        """The store with the mark file that identifies its directory.

        The mark is made at first use and recorded in the catalogue. StoreUnavailable for an empty
        directory when the catalogue has backups there: the disk is probably not mounted.
        """
        kind, options = config.platform_store(self.settings)
        directory = self.platform_directory
        if directory is not None:
            with self.catalog.read() as session:
                mark = store_marks.get(session, store_marks.PLATFORM)
                used = store_marks.is_platform_used(session)
            if mark is None:
                if used and read_mark(directory) is None and not holds_objects(directory):
                    raise StoreUnavailable(
                        f"the store is not there: {directory} is empty, but backups are kept in"
                        " it; is it mounted?"
                    )
                with self.catalog.write() as session:
                    mark = store_marks.keep(session, store_marks.PLATFORM, make_mark(directory))
            options = {**options, "mark": mark}
        return self._measured(open_store(kind, self._spooled(kind, options)), PLATFORM)

    @property
    def platform_directory(self) -> Path | None:
        """The directory of the platform's own store; None: it is not on this machine."""
        kind, options = config.platform_store(self.settings)
        return Path(str(options["directory"])) if kind == "local" else None

    @cached_property
    def stored_bytes(self) -> StoredBytes:
        return StoredBytes(self.clock)

    def _measured(self, store: ObjectStore, name: str) -> ObjectStore:
        return MeasuredStore(store, Meter(name, self.clock))

    def store(self, destination_pk: int | None) -> ObjectStore:
        """The destination's store; None: the platform's own."""
        if destination_pk is None:
            return self._platform_store
        with self.catalog.read() as session:
            destination = destinations.get(session, destination_pk)
            options = destinations.options(destination, self.sealer)
        if not destinations.is_settled(destination):
            discovered = self._discover_settings(destination.kind, destination_pk, options)
            options = {**options, **discovered}
        store = open_store(destination.kind, self._spooled(destination.kind, options))
        return self._measured(store, destination.id)

    @cached_property
    def _probed(self) -> dict[int, float]:
        """Destination to the instant its service was last probed for its settings."""
        return {}

    def _discover_settings(
        self, kind: str, destination_pk: int, options: Mapping[str, Any]
    ) -> Mapping[str, object]:
        """Settings of a destination that was added before probing for them existed.

        At most once in `_ASK_AGAIN_SECONDS`, so that a service that is away is not probed on every
        use."""
        moment = self.clock.monotonic()
        if moment - self._probed.get(destination_pk, -_ASK_AGAIN_SECONDS) < _ASK_AGAIN_SECONDS:
            return {}
        self._probed[destination_pk] = moment
        chosen = [name for name in destinations.SETTINGS if name in options]
        discovered = settle(kind, {**options, "attempts": 1}, chosen)
        if discovered:
            with self.catalog.write() as session:
                row = destinations.get(session, destination_pk)
                row.options = {**discovered, **row.options}
        return discovered

    def _spooled(self, kind: str, options: Mapping[str, Any]) -> Mapping[str, Any]:
        """Adds the spool directory, where upload parts too large for memory wait."""
        return {"spool": self.settings.data_dir / "spool", **options} if kind == "s3" else options

    def locate(self, destination_pk: int | None, key: str) -> str:
        """The location of a key in that store, in the syntax of the stock snapshot tool."""
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
            stamp=self.stamp,
            import_rules=self.import_rules,
            controls=config.attached_controls(self.settings),
            server_uids=self.settings.server_uid_range if os.geteuid() == 0 else None,
            drill_limit_ms=round(self.settings.drill_hours * HOUR_MS),
        )

    @cached_property
    def import_rules(self) -> Rules:
        settings = self.settings
        return Rules(
            allowed=parse_networks(settings.import_networks),
            max_bytes=settings.import_bytes,
            max_seconds=settings.import_hours * 3600,
        )

    @cached_property
    def services(self) -> Services:
        settings = self.settings
        rules = settings.import_bytes, settings.caps, settings.certificate_directories
        return Services(self.queue, self.sealer, self.node, self.engine, *rules)
