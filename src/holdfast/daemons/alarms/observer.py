"""Observes what one process sees: its host's disk, clock and key, the stores, and that it lives."""

import math
import shutil
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from holdfast.catalog import destinations
from holdfast.catalog.alarms import observations
from holdfast.contracts.store import ObjectStore, WriteTriable
from holdfast.daemons.lanes import Lanes
from holdfast.domain.alarms.rules import disk_problem
from holdfast.domain.errors import Failure
from holdfast.domain.units import show_duration
from holdfast.kit.clock import Clock, SystemClock
from holdfast.kit.steady_clock import Jumps
from holdfast.usecases.alarms.evaluation import PLATFORM
from holdfast.usecases.toolbox import Toolbox

_BEAT_SECONDS = 5.0
_HANGS_SECONDS = 60.0


class HostObserver:
    """`find_key_problem` says what is wrong with the host's master key; None: nothing."""

    def __init__(
        self,
        tools: Toolbox,
        observer: str,
        find_key_problem: Callable[[], str | None],
        settle: float,
        host_clock: Clock | None = None,
    ) -> None:
        self._tools = tools
        self._observer = observer
        self._find_key_problem = find_key_problem
        self._jumps = Jumps(host_clock or SystemClock(), settle)

    def round(self) -> None:
        node, clock_problem = self._tools.node, None
        step = self._jumps.look()
        if step is not None:
            direction = "forward" if step > 0 else "back"
            duration = show_duration(1000 * round(abs(step)))
            clock_problem = f"it went {direction} by {duration} at once"
        problems = {
            f"disk {node}": find_disk_problem(self._tools.data_dir),
            f"clock {node}": clock_problem,
            f"key {node}": self._find_key_problem(),
        }
        with self._tools.catalog.write() as session:
            observations.note(session, self._observer, problems, self._tools.clock.now())


def find_disk_problem(directory: Path) -> str | None:
    """What is wrong with the room where a directory is; None: there is enough."""
    try:
        usage = shutil.disk_usage(directory)
    except OSError as error:
        return f"{directory} cannot be read: {error.strerror}"
    problem = disk_problem(usage.total, usage.free)
    return None if problem is None else f"{directory}: {problem}"


class StoreObserver:
    """Tries every store, each in a thread of its own, and forgets what is long not observed.

    Far ones are listed each time; whether they can be written is tried each `write_every` seconds.
    """

    def __init__(self, tools: Toolbox, observer: str, write_every: float = 240.0) -> None:
        self._tools = tools
        self._observer = observer
        self._lanes = Lanes("store-observer")
        self._began: dict[int | None, float] = {}
        self._tries = _Tries(write_every)

    def round(self) -> None:
        now, moment = self._tools.clock.now(), self._tools.clock.monotonic()
        with self._tools.catalog.read() as session:
            destination_pks = [None, *(row.pk for row in destinations.living(session))]
        hanging: dict[str, str | None] = {
            store_name(pk): f"it has not answered for {_HANGS_SECONDS:.0f} s"
            for pk, began in self._began.items()
            if moment - began > _HANGS_SECONDS
        }
        with self._tools.catalog.write() as session:
            observations.note(session, self._observer, hanging, now)
            observations.forget_worn(session, now)
        for pk in destination_pks:
            self._lanes.start(pk, partial(self.observe, pk))

    def observe(self, destination_pk: int | None) -> None:
        self._began[destination_pk] = self._tools.clock.monotonic()
        try:
            problem = self._problem(destination_pk)
        finally:
            del self._began[destination_pk]
        problems: Mapping[str, str | None] = {store_name(destination_pk): problem}
        with self._tools.catalog.write() as session:
            observations.note(session, self._observer, problems, self._tools.clock.now())

    def _problem(self, destination_pk: int | None) -> str | None:
        try:
            store = self._tools.open_store(destination_pk)
        except Failure as failure:
            return failure.message
        key, moment = f"readiness/{self._observer}", self._tools.clock.monotonic()
        problem = try_store(store, key)
        if problem is not None or store.near or not isinstance(store, WriteTriable):
            return problem
        if self._tries.is_due(destination_pk, moment):
            self._tries.note(destination_pk, moment, _problem_of(partial(store.try_write, key)))
        return self._tries.problem(destination_pk)


class _Tries:
    """When writing to each far store was tried last, and what was wrong then."""

    def __init__(self, write_every: float) -> None:
        self._write_every = write_every
        self._last: dict[int | None, tuple[float, str | None]] = {}

    def is_due(self, destination_pk: int | None, moment: float) -> bool:
        tried, _ = self._last.get(destination_pk, (-math.inf, None))
        return moment - tried >= self._write_every

    def note(self, destination_pk: int | None, moment: float, problem: str | None) -> None:
        self._last[destination_pk] = moment, problem

    def problem(self, destination_pk: int | None) -> str | None:
        return self._last[destination_pk][1]


def _problem_of(work: Callable[[], object]) -> str | None:
    try:
        work()
    except Failure as failure:
        return failure.message
    return None


def try_store(store: ObjectStore, key: str) -> str | None:
    """What is wrong with a store; None: it answers. A near one is written, too: that costs nothing,
    and none of them keeps old versions."""

    def read_and_write() -> None:
        next(store.list(key), None)
        if store.near:
            upload = store.begin(key)
            try:
                upload.write(b"ready\n")
                upload.commit()
            finally:
                upload.abort()
            store.delete(key)

    return _problem_of(read_and_write)


def store_name(destination_pk: int | None) -> str:
    return f"store {PLATFORM if destination_pk is None else destination_pk}"


class SchedulerBeat:
    """Shows that a scheduler lives: called by its own loop, so one that hangs falls silent."""

    def __init__(self, tools: Toolbox, observer: str) -> None:
        self._tools = tools
        self._observer = observer
        self._last: float | None = None

    def round(self) -> None:
        moment = self._tools.clock.monotonic()
        if self._last is not None and moment - self._last < _BEAT_SECONDS:
            return
        problems = {observations.SCHEDULER: None}
        with self._tools.catalog.write() as session:
            observations.note(session, self._observer, problems, self._tools.clock.now())
        self._last = moment

    def leave(self) -> None:
        """Signs off: a scheduler that stopped is no dead one."""
        with self._tools.catalog.write() as session:
            observations.forget(session, self._observer, [observations.SCHEDULER])
