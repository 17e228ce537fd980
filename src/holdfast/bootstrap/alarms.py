"""The loops that every process has: they notice what is wrong, and send it."""

import os
from dataclasses import replace

from holdfast import settings as config
from holdfast.bootstrap.parts import Parts
from holdfast.catalog.database.clock import DatabaseClock
from holdfast.channels.registry import open_channel
from holdfast.daemons.alarms.deliverer import Deliverer
from holdfast.daemons.alarms.evaluator import Evaluator
from holdfast.daemons.alarms.observer import HostObserver, StoreObserver
from holdfast.daemons.loop import Loop
from holdfast.domain.errors import Invalid
from holdfast.kit import ids

_EVALUATE_SECONDS = 5.0
_DELIVER_SECONDS = 1.0
_HOST_SECONDS = 15.0
_STORE_SECONDS = 30.0


class AlarmProcess:
    """The watch over this installation, as a part of any of its processes.

    `observes_stores`: one that works with stores, unlike an API alone, which may not reach them.
    """

    def __init__(self, parts: Parts, *, observes_stores: bool) -> None:
        clock = parts.schedule_clock or DatabaseClock(parts.catalog, parts.clock)
        tools, observer = replace(parts.toolbox, clock=clock), observer_name(parts)
        settle = parts.settings.settle
        host = HostObserver(tools, observer, lambda: _key_problem(parts), settle, parts.clock)
        evaluator = Evaluator(tools, 2 * parts.settings.dead)
        self._loops = [
            Loop("alarms", _EVALUATE_SECONDS, evaluator.round),
            Loop("deliverer", _DELIVER_SECONDS, Deliverer(tools, open_channel).round),
            Loop("host-observer", _HOST_SECONDS, host.round),
        ]
        if observes_stores:
            stores = StoreObserver(tools, observer)
            self._loops.append(Loop("store-observer", _STORE_SECONDS, stores.round))

    def start(self) -> None:
        for loop in self._loops:
            loop.start()

    def drain(self) -> None:
        for loop in self._loops:
            loop.stop()


def observer_name(parts: Parts) -> str:
    """Names this process among all that observe."""
    return f"{parts.node}-{os.getpid()}-{ids.hex24()[:6]}"


def _key_problem(parts: Parts) -> str | None:
    """What is wrong with the key that the next start of a process on this host would find."""
    try:
        key = config.find_master_key(parts.settings)
    except (Invalid, OSError) as error:
        return f"it cannot be read: {error}"
    if key is None:
        return f"there is no {parts.settings.data_dir / 'master.key'}"
    return None if key == parts.master else "another key is in its place"
