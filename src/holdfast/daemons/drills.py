"""Orders the drills that addons' plans want, and sweeps up after dead ones."""

import logging
from dataclasses import dataclass
from itertools import islice

from holdfast.usecases.hosting import throwaway
from holdfast.usecases.protection import drills
from holdfast.usecases.toolbox import Toolbox

log = logging.getLogger(__name__)

_AT_ONCE = 20
"""Drills ordered in one round: more would only wait in the lane, with older backups."""


@dataclass(frozen=True)
class DrillPlanner:
    tools: Toolbox

    def round(self) -> None:
        now = self.tools.clock.now()
        with self.tools.catalog.read() as session:
            wanted = list(islice(drills.wanted(session, now), _AT_ONCE))
        if not wanted:
            return
        with self.tools.catalog.write() as session:
            ordered = drills.order(session, self.tools.queue, wanted, now)
        log.info("drills ordered", extra={"count": ordered})


@dataclass(frozen=True)
class DrillSweeper:
    """Removes the throwaway servers of this machine whose process is gone."""

    tools: Toolbox

    def round(self) -> None:
        swept = throwaway.sweep(self.tools)
        if swept:
            log.info("throwaway servers of dead drills removed", extra={"count": swept})
