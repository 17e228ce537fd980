"""Sends what waits in the outbox, each channel in a thread of its own: a dead mail server delays
neither the other channels nor anything else."""

import threading
from functools import partial

from holdfast.catalog.alarms import deliveries
from holdfast.daemons.lanes import Lanes
from holdfast.usecases.alarms.sending import OpenChannel, send_next
from holdfast.usecases.toolbox import Toolbox

_DRAIN_SECONDS = 20.0
_AT_ONCE = 50
"""Messages that a channel is sent in one turn."""


class Deliverer:
    """Any number of processes may do it: each message is claimed."""

    def __init__(self, tools: Toolbox, open_channel: OpenChannel) -> None:
        self._tools = tools
        self._open_channel = open_channel
        self._lanes = Lanes("deliverer")
        self._stopping = threading.Event()

    def round(self) -> None:
        with self._tools.catalog.read() as session:
            due = deliveries.due(session)
        for channel_pk, delivery_pk in due.items():
            self._lanes.start(channel_pk, partial(self.send, channel_pk, delivery_pk))

    def send(self, channel_pk: int, delivery_pk: int) -> None:
        """Sends what is due to one channel, in order, until one fails."""
        tools = self._tools
        following: int | None = delivery_pk
        for _ in range(_AT_ONCE):
            if self._stopping.is_set() or following is None:
                return
            if not send_next(
                tools.catalog, tools.sealer, self._open_channel, tools.clock, following
            ):
                return
            with tools.catalog.read() as session:
                following = deliveries.due(session).get(channel_pk)

    def drain(self) -> None:
        """Lets what is being sent be noted: else another process would send it again."""
        self._stopping.set()
        self._lanes.wait(_DRAIN_SECONDS)
