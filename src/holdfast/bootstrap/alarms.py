"""The loops that every process has: they notice what is wrong, and send it."""

import os
from dataclasses import replace
from functools import partial

from holdfast import settings as config
from holdfast.bootstrap.parts import Parts
from holdfast.catalog.database.clock import DatabaseClock
from holdfast.channels.posting import post
from holdfast.channels.registry import open_channel
from holdfast.daemons.alarms.deliverer import Deliverer
from holdfast.daemons.alarms.evaluator import Evaluator
from holdfast.daemons.alarms.heart import Heart, ping
from holdfast.daemons.alarms.monitors import MonitorWatch
from holdfast.daemons.alarms.observer import HostObserver, StoreObserver
from holdfast.daemons.loop import Loop
from holdfast.domain.errors import Invalid
from holdfast.kit import ids
from holdfast.settings import Settings

_DELIVER_SECONDS = 1.0
_HOST_LOOKS = 3
_STORE_LOOKS = 6
"""A host is looked at each third, a store each sixth time that alarms are compared."""
_WRITE_LOOKS = 48
"""With alarms compared every 5 s: each 4 minutes, whether a far store can be written, which is
paid for, is tried again."""
_HEART_SECONDS = 60.0


class AlarmProcess:
    """The watch over this installation, as a part of any of its processes.

    `observes_stores`: one that works with stores, unlike an API alone, which may not reach them.
    `beats`: a scheduler, whose pings show that the installation lives. `takes_pings`: an API, which
    knows when none could come.
    """

    def __init__(
        self,
        parts: Parts,
        *,
        observes_stores: bool,
        beats: bool = False,
        takes_pings: bool = False,
    ) -> None:
        clock = parts.schedule_clock or DatabaseClock(parts.catalog, parts.clock)
        tools, observer = replace(parts.toolbox, clock=clock), observer_name(parts)
        settle, every = parts.settings.settle, parts.settings.watch_every
        host = HostObserver(tools, observer, lambda: _key_problem(parts), settle, parts.clock)
        evaluator = Evaluator(tools, 2 * parts.settings.dead)
        self._deliverer = Deliverer(tools, open_channel)
        self._loops = [
            Loop("alarms", every, evaluator.round),
            Loop("deliverer", _DELIVER_SECONDS, self._deliverer.round),
            Loop("host-observer", _HOST_LOOKS * every, host.round),
        ]
        if observes_stores:
            stores = StoreObserver(tools, observer, _WRITE_LOOKS * every)
            self._loops.append(Loop("store-observer", _STORE_LOOKS * every, stores.round))
        if takes_pings:
            monitors = MonitorWatch(tools, parts.settings.dead)
            self._loops.append(Loop("monitors", every, monitors.round))
        url = parts.settings.heartbeat_url
        if beats and url is not None:
            beat = partial(ping, post, url, signals=parts.settings.heartbeat_signals)
            heart = Heart(parts.catalog, clock, lambda: evaluator.evaluated, beat)
            self._loops.append(Loop("heart", _HEART_SECONDS, heart.round))

    def start(self) -> None:
        for loop in self._loops:
            loop.start()

    def drain(self) -> None:
        for loop in self._loops:
            loop.stop()
        self._deliverer.drain()


def report_failed_start(settings: Settings, problem: str) -> None:
    """Tells the receiver of heartbeats that a process could not start, and why."""
    if settings.heartbeat_url is not None:
        url, signals = settings.heartbeat_url, settings.heartbeat_signals
        ping(post, url, "failed-start", problem, signals)


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
