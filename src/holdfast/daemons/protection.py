"""Derives the protection of every addon from nothing now and then, and reports a difference.

The rows are kept by each transaction that changes something; a difference means that one did not
notice its change. The row is put right, the log names its columns, and an alarm is opened.
"""

import logging
import time

from holdfast.catalog import protection
from holdfast.catalog.alarms import observations
from holdfast.catalog.work import chores
from holdfast.domain.units import HOUR_MS
from holdfast.usecases.alarms.evaluation import OBSERVED_PROTECTION
from holdfast.usecases.toolbox import Toolbox

log = logging.getLogger(__name__)

_CHORE = "protection"
_EVERY_MS = 6 * HOUR_MS
_RESTS = 4
"""Times as long as a lot took."""
_MAX_REST_SECONDS = 2.0


class ProtectionCheck:
    """One of all schedulers does it."""

    def __init__(self, tools: Toolbox) -> None:
        self._tools = tools

    def round(self) -> None:
        now = self._tools.clock.now()
        with self._tools.catalog.read() as session:
            if not chores.is_due(session, _CHORE, now, _EVERY_MS):
                return
        with self._tools.catalog.write() as session:
            if not chores.take(session, _CHORE, now, _EVERY_MS):
                return
        self.check()
        with self._tools.catalog.write() as session:
            chores.end(session, _CHORE, now + _EVERY_MS, now, None)

    def check(self) -> None:
        """Compares all living addons, some at a time; what differs again under the lock counts.

        With hundreds of backups each a lot takes many seconds, in which SQLite's other writers must
        not wait. No one waits for the check, but answers share the interpreter with it: after each
        lot it rests.
        """
        last, problem = 0, None
        while True:
            began = time.monotonic()
            with self._tools.catalog.read() as session:
                addon_pks = protection.living_after(session, last)
                different = protection.differences(session, addon_pks)
            if not addon_pks:
                break
            if different:
                with self._tools.catalog.write() as session:
                    different = protection.differences(session, different.keys())
                    protection.refresh(session, different.keys(), all_days=True)
            for addon_pk, columns in different.items():
                if columns != [protection.NO_ROW]:  # it was made before there were rows
                    log.error(
                        "protection facts differ",
                        extra={"addon": addon_pk, "columns": ", ".join(columns)},
                    )
                    problem = f"of addon {addon_pk} these were: {', '.join(columns)}"
            last = addon_pks[-1]
            time.sleep(min(_MAX_REST_SECONDS, _RESTS * (time.monotonic() - began)))
        with self._tools.catalog.write() as session:
            now = self._tools.clock.now()
            observations.note(session, self._tools.node, {OBSERVED_PROTECTION: problem}, now)
