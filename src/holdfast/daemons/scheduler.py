"""Decides that it is time: dispatches what waits although nothing holds it up.

Whoever frees an addon dispatches its next operation in the same transaction, so there is nothing
to find here unless a queue was swapped or lost its rows; then everything goes on by itself.
"""

from holdfast.catalog import operations
from holdfast.jobs.toolbox import Toolbox


class Scheduler:
    def __init__(self, tools: Toolbox) -> None:
        self._tools = tools

    def round(self) -> None:
        with self._tools.catalog.read() as session:
            waiting = operations.waiting_addons(session)
        for addon_pk in waiting:
            with self._tools.catalog.write() as session:
                operations.promote(session, self._tools.queue, addon_pk)
