"""A scheduler process whose clock runs fast and that may die in the middle of a transaction."""

import logging
import os
import random
import signal
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fixtures.catalogs import MASTER_KEY
from holdfast.bootstrap import Parts, SchedulerProcess, processes
from holdfast.queues.table import TableQueue
from holdfast.settings import Settings


@dataclass(frozen=True)
class FastClock:
    """The same in every process that is given the same numbers."""

    origin: int
    shown: int
    speed: int

    def now(self) -> int:
        return self.shown + (time.time_ns() // 1_000_000 - self.origin) * self.speed

    def monotonic(self) -> float:
        return time.monotonic()

    def boottime(self) -> float:
        return time.monotonic()


class MortalQueue(TableQueue):
    risk = 0.0

    def dispatch(self, *what: Any) -> None:
        super().dispatch(*what)
        if random.random() < self.risk:
            os.kill(os.getpid(), signal.SIGKILL)


@dataclass(frozen=True)
class Ticking:
    """All that such a process needs. `risk`: how likely it dies when it dispatches something."""

    home: Path
    url: str
    clock: FastClock
    risk: float
    log: Path

    def run(self) -> None:
        """Until it is killed."""
        log = os.open(self.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.dup2(log, 2)
        logging.basicConfig(level=logging.WARNING)
        settings = Settings(
            data_dir=self.home, database_url=self.url, queue="table", master_key=MASTER_KEY
        )
        parts = Parts(settings, schedule_clock=self.clock)
        queue = MortalQueue(parts.catalog.engine)
        queue.risk = self.risk
        vars(parts)["queue"] = queue
        processes._SCHEDULE_SECONDS = 0.02
        SchedulerProcess(parts).start()
        threading.Event().wait()
