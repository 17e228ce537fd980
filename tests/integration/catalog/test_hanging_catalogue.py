"""A catalogue that says nothing at all, or is another one: a worker finds out by itself."""

import contextlib
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from fixtures.debian_postgres import Database, running_postgres
from holdfast.catalog.database.deadlines import hurried
from holdfast.catalog.database.migrate import migrate
from holdfast.catalog.database.session import Catalog, CatalogAway
from holdfast.catalog.schema import Operation
from holdfast.catalog.work import workers
from holdfast.contracts.queue import Dispatch
from holdfast.daemons.loop import Loop
from holdfast.daemons.pulse import Pulse, Rhythm
from holdfast.domain.errors import FencedOff, WorkerLost
from holdfast.kit.clock import SystemClock
from holdfast.kit.processes.guard import Guard
from holdfast.kit.seal import Sealer
from holdfast.usecases.running_jobs import Running
from holdfast.usecases.toolbox import Toolbox

DEAD = 6.0


@dataclass
class Valve:
    """A proxy that may stop in the middle, keeping every connection, or lead to another server."""

    target: int
    port: int = 0
    stopped: threading.Event = field(default_factory=threading.Event)
    open: list[socket.socket] = field(default_factory=list)

    def serve(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = listener.accept()
                far = socket.create_connection(("127.0.0.1", self.target))
                self.open += [near, far]
                for pair in ((near, far), (far, near)):
                    threading.Thread(target=self.pass_on, args=pair, daemon=True).start()

    def pass_on(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while chunk := source.recv(1 << 16):
                while self.stopped.is_set():
                    time.sleep(0.02)
                sink.sendall(chunk)
        for each in (source, sink):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def lead_to(self, port: int) -> None:
        """As a name or an address does that goes to the next primary."""
        self.target = port
        for each in self.open:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def valve(debian_postgres: Database) -> Iterator[Valve]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        made = Valve(debian_postgres.port, listener.getsockname()[1])
        thread = threading.Thread(target=made.serve, args=(listener,), daemon=True)
        thread.start()
        yield made
        made.stopped.clear()
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(5)


@dataclass
class Beating:
    """A worker that writes into a customer's database."""

    catalog: Catalog
    guard: Guard
    loops: list[Loop]

    def stopped_by(self) -> BaseException | None:
        try:
            self.guard.check()
        except (WorkerLost, FencedOff) as reason:
            return reason
        return None


def beats(url: str) -> int:
    catalog = Catalog(url)
    try:
        with catalog.read() as session:
            return workers.beats(session).get("w", -1)
    finally:
        catalog.close()


def an_operation(url: str, fence: int = 1) -> None:
    catalog = Catalog(url)
    migrate(catalog)
    with catalog.write() as session:
        session.execute(text("SET session_replication_role = replica"))  # it needs no addon here
        session.add(
            Operation(
                id="op", addon_pk=1, kind="restore", lane="any", priority=1, status="in-progress",
                slot=1, fence=fence, attempt=fence, arguments={}, record={}, created=1,
            )
        )  # fmt: skip
    catalog.close()


@pytest.fixture
def begin() -> Iterator[Callable[[str], Beating]]:
    begun: list[Beating] = []

    def start(url: str) -> Beating:
        catalog, clock, running = Catalog(url, patience=0.6 * DEAD), SystemClock(), Running()
        guard = Guard(clock)
        running.enter(Dispatch("op", 1), guard, writes=True)
        nothing: Any = None
        tools = Toolbox(
            catalog,
            nothing,
            clock,
            Sealer(bytes(32)),
            "node",
            Path("/nowhere"),
            nothing,
            nothing,
            nothing,
        )
        pulse = Pulse(tools, running, "w", Rhythm(beat=0.1, dead=DEAD))
        loops = [Loop("pulse", 0.1, pulse.round), Loop("silence", 0.1, pulse.silence.round)]
        for loop in loops:
            loop.start()
        begun.append(Beating(catalog, guard, loops))
        return begun[-1]

    yield start
    for each in begun:
        for loop in each.loops:
            loop.stop()
        each.catalog.close()


def await_that(condition: Callable[[], object], seconds: float = 90) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_backend_that_stops_costs_a_beat(
    debian_postgres: Database, begin: Callable[[str], Beating]
) -> None:
    """Its connection is in good order and never answers: the next beat takes another one."""
    name = debian_postgres.create()
    url = debian_postgres.url(name)
    an_operation(url)
    begin(url)
    await_that(lambda: beats(url) > 2)
    listed = debian_postgres.run(
        f"SELECT pid FROM pg_stat_activity WHERE datname = '{name}' AND application_name <> ''"
    )
    for (pid,) in listed:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP)
    try:
        before = beats(url)
        await_that(lambda: beats(url) > before + 2)
    finally:
        for (pid,) in listed:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


def test_a_writer_gives_up_when_nothing_answers(
    debian_postgres: Database, valve: Valve, begin: Callable[[str], Beating]
) -> None:
    url = debian_postgres.url(debian_postgres.create())
    an_operation(url)
    through = url.replace(f":{debian_postgres.port}/", f":{valve.port}/")
    worker = begin(through)
    await_that(lambda: beats(url) > 2)
    assert worker.stopped_by() is None
    stopped = time.monotonic()
    valve.stopped.set()
    await_that(worker.stopped_by)
    assert isinstance(worker.stopped_by(), WorkerLost)
    assert time.monotonic() - stopped > 0.4 * DEAD, "a moment's silence is none"
    before = beats(url)
    valve.stopped.clear()
    await_that(lambda: beats(url) > before)


@pytest.mark.parametrize("fence", [1, 2], ids=["the same", "others took over"])
def test_a_primary_that_is_replaced_says_who_works(
    debian_postgres: Database, valve: Valve, begin: Callable[[str], Beating], fence: int
) -> None:
    other = running_postgres()
    try:
        name = debian_postgres.create()
        url = debian_postgres.url(name)
        other.database.run(f"ALTER ROLE postgres PASSWORD '{debian_postgres.password}'")
        successor = replace(other.database, password=debian_postgres.password)
        successor.run(f"CREATE DATABASE {name}")
        an_operation(url)
        an_operation(successor.url(name), fence)
        worker = begin(url.replace(f":{debian_postgres.port}/", f":{valve.port}/"))
        await_that(lambda: beats(url) > 2)
        valve.lead_to(successor.port)
        await_that(lambda: beats(successor.url(name)) > 2)
        if fence == 1:
            assert worker.stopped_by() is None
        else:
            await_that(lambda: isinstance(worker.stopped_by(), FencedOff))
    finally:
        for loop in worker.loops:
            loop.stop()
        other.stop()


def test_an_answer_that_takes_too_long_is_an_absent_catalogue(debian_postgres: Database) -> None:
    catalog = Catalog(debian_postgres.url(), patience=60)
    with catalog.read() as session, hurried(0.2), pytest.raises(CatalogAway):
        session.execute(text("SELECT pg_sleep(30)"))
    with catalog.read() as session, hurried(None):
        assert session.scalar(text("SELECT 1 FROM pg_sleep(0.5)")) == 1
    catalog.close()
