"""The instant at which a dump reads: a cluster time, and the history that servers keep of it.

A server forgets the past after `minSnapshotHistoryWindowInSeconds` (300 by default), also for
cursors that are open. While a dump reads, the window is raised in steps, so that a dump that dies
leaves it only a little too large, and put back at the end.
"""

import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass

from bson.timestamp import Timestamp

from holdfast.contracts.engine import Attempt
from holdfast.domain.errors import AddonUnavailable, NotSupported
from holdfast.engines.mongodb.client.connection import Connection, WireError
from holdfast.engines.mongodb.client.server_errors import error_text
from holdfast.kit.clock import Clock
from holdfast.kit.processes.guard import Guard

log = logging.getLogger(__name__)

WINDOW = "minSnapshotHistoryWindowInSeconds"
TOO_OLD = 239
"""Error of a server that no longer has the past which is asked for."""
_WIRE_5_0 = 13
_STEP_SECONDS = 60
_MARGIN_SECONDS = 300
_MAX_WAIT_SECONDS = 30


@dataclass(frozen=True)
class Instant:
    """When collections are read. `time` None: each one when its turn comes."""

    time: Timestamp | None

    @property
    def read_concern(self) -> Mapping[str, object] | None:
        if self.time is None:
            return None
        return {"level": "snapshot", "atClusterTime": self.time}


def has_snapshots(connection: Connection) -> bool:
    """Whether the server reads at a cluster time: members of sets from 5.0 on do.

    NotSupported for the router of a sharded cluster.
    """
    hello = connection.command("admin", {"hello": 1})
    if hello.get("msg") == "isdbgrid":
        raise NotSupported("a sharded cluster cannot be read at one instant, nor restored")
    return "setName" in hello and hello["maxWireVersion"] >= _WIRE_5_0


def now(connection: Connection, guard: Guard) -> Instant:
    """The present cluster time, which a new primary does not know in its first moments."""
    waited = 0.0
    while waited < _MAX_WAIT_SECONDS:
        time = connection.command("admin", {"ping": 1}).get("operationTime")
        if isinstance(time, Timestamp) and time.time:
            return Instant(time)
        guard.wait(0.1)
        waited += 0.1
    raise AddonUnavailable("the server does not say its cluster time")


class History:
    """Keeps the past readable from `__init__` until `close`, in a thread of its own.

    Several dumps of one server may do so at once: each looks at the present window before it raises
    it, and puts back only what it has set itself.
    """

    def __init__(self, connection: Connection, attempt: Attempt, clock: Clock) -> None:
        self._connection = connection
        self._clock = clock
        self._began = clock.monotonic()
        self._over = threading.Event()
        self._set_by_us: int | None = None
        self.window = 0
        try:
            self.window = self.present()
            self._set(max(self.window, _MARGIN_SECONDS))  # also shows whether we may
        except WireError as error:
            attempt.say(
                "the server forgets the past while it is read, if that takes longer than its"
                f" {WINDOW} ({self.window or 300} s): our user may not raise it"
                f" ({error_text(error)})"
            )
        self._thread = threading.Thread(target=self._run, name="history", daemon=True)
        self._thread.start()

    def present(self) -> int:
        """Seconds that the server keeps now."""
        return int(self._connection.command("admin", {"getParameter": 1, WINDOW: 1})[WINDOW])

    def keep(self) -> None:
        """Raises the window if the instant of the dump would soon lie before it."""
        needed = int(self._clock.monotonic() - self._began) + _MARGIN_SECONDS
        if self.present() < needed:
            self._set(needed)

    def _set(self, seconds: int) -> None:
        self._connection.command("admin", {"setParameter": 1, WINDOW: seconds})
        self._set_by_us = seconds

    def _run(self) -> None:
        while not self._over.wait(_STEP_SECONDS):
            try:
                self.keep()
            except WireError as error:
                log.info("history is not kept longer", extra={"error": error_text(error)})

    def close(self) -> None:
        """Puts the window back. Idempotent."""
        self._over.set()
        self._thread.join()
        if self._set_by_us not in (None, self.window):
            try:
                if self.present() == self._set_by_us:
                    self._set(self.window)
            except WireError as error:
                log.warning("%s stays raised", WINDOW, extra={"error": error_text(error)})
            self._set_by_us = None
