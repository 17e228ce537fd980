"""Store checks: compares every store with the catalogue for lost, leftover and foreign objects."""

import logging
from itertools import islice

from holdfast.catalog import destinations
from holdfast.catalog.storage import findings, store_contents
from holdfast.catalog.storage.store_contents import Expected
from holdfast.catalog.work import chores
from holdfast.contracts.store import ObjectStore
from holdfast.daemons.lanes import Lanes
from holdfast.domain.errors import Failure
from holdfast.domain.retention.store_check import damage
from holdfast.kit.clock import rfc3339
from holdfast.usecases.retention import deletion
from holdfast.usecases.store_check import object_check
from holdfast.usecases.store_check.object_check import Group, Strangers
from holdfast.usecases.store_check.repository_check import check_repositories
from holdfast.usecases.toolbox import Toolbox

log = logging.getLogger(__name__)

_ROWS_AT_ONCE = 200
_RETRY_MS = 600_000
"""Pause after a check that failed, because a store could not be listed."""
_WAIT_SECONDS = 1.0


class StoreChecker:
    """`every_ms` 0: stores are checked on request only. `round_ms`: in that time the bytes of every
    pack of snapshots are read once; 0: on request only. The reader reads the bytes of dumps."""

    def __init__(self, tools: Toolbox, every_ms: int, round_ms: int = 0) -> None:
        self._tools = tools
        self._every_ms = every_ms
        self._round_ms = round_ms
        self._lanes = Lanes("store-checker")

    def round(self) -> None:
        now = self._tools.clock.now()
        with self._tools.catalog.read() as session:
            destination_pks = [None, *(row.pk for row in destinations.living(session))]
            due = [
                pk
                for pk in destination_pks
                if chores.is_due(session, chores.audit_of(pk), now, self._every_ms)
            ]
        for destination_pk in due:
            with self._tools.catalog.write() as session:
                chore = chores.audit_of(destination_pk)
                mine = chores.take(session, chore, now, self._every_ms)
            if mine:
                self._lanes.start(destination_pk, lambda pk=destination_pk: self.check(pk))
        self._lanes.wait(_WAIT_SECONDS)

    def check(self, destination_pk: int | None) -> None:
        """Checks one store. A failure is shown, and the check is repeated soon."""
        problem: str | None = "it was interrupted"
        try:
            problem = self.compare(destination_pk)
        except Failure as failure:
            problem = failure.message
        finally:
            if problem is not None:
                extra = {"destination": destination_pk, "problem": problem}
                log.error("a store check failed", extra=extra)
            now = self._tools.clock.now()
            after = _RETRY_MS if problem is not None else self._every_ms
            due = now + after if after else chores.NEVER
            with self._tools.catalog.write() as session:
                chores.end(session, chores.audit_of(destination_pk), due, now, problem)

    def compare(self, destination_pk: int | None) -> str | None:
        """Compares a store with the catalogue; None if all leftovers could be removed."""
        store, began = self._tools.open_store(destination_pk), self._tools.clock.now()
        checked, strangers, problem = _KeySet(), Strangers(), None
        groups = object_check.groups(store)
        while batch := list(islice(groups, _ROWS_AT_ONCE)):
            with self._tools.catalog.read() as session:
                judged = object_check.judge(session, destination_pk, batch)
            for key in judged.whole:
                checked.add(key)
            for key in judged.back:
                with self._tools.catalog.write() as session:
                    deletion.find(session, key, began)
            for group, why in judged.foreign:
                strangers.add(group, why, began)
            for group, proof in judged.leftovers:
                problem = self.sweep(store, destination_pk, group, proof) or problem
        for key in check_repositories(
            self._tools, destination_pk, strangers, began, self._round_ms
        ):
            checked.add(key)
        self.find_lost(store, destination_pk, checked)
        with self._tools.catalog.write() as session:
            strangers.report(session, destination_pk, began)
            for pk in store_contents.stale(session, destination_pk, began):
                findings.settle(session, pk, "it is not there any more", began)
        return problem

    def sweep(
        self, store: ObjectStore, destination_pk: int | None, group: Group, proof: str
    ) -> str | None:
        """Removes a leftover; returns why it could not, and leaves the finding open then."""
        now = self._tools.clock.now()
        with self._tools.catalog.write() as session:
            finding = object_check.report_leftover(session, destination_pk, group, proof, now)
        try:
            removed = store.clear(group.prefix)
        except Failure as failure:
            return f"{group.prefix}: {failure.message}"
        log.info("leftovers removed", extra={"prefix": group.prefix, "proof": proof})
        outcome = f"{removed} objects and unfinished uploads removed at {rfc3339(now)}"
        with self._tools.catalog.write() as session:
            findings.settle(session, finding, outcome, now)
        return None

    def find_lost(self, store: ObjectStore, destination_pk: int | None, checked: "_KeySet") -> None:
        """Looks one by one at the completed copies that the listing did not show whole."""
        after = 0
        while True:
            with self._tools.catalog.read() as session:
                keys = store_contents.completed_at(session, destination_pk, after, _ROWS_AT_ONCE)
                suspects = store_contents.expected(
                    session, [key for key in keys if key not in checked]
                )
            for suspect in suspects:
                self.recheck(store, suspect)
            if not keys:
                return
            after = keys[-1]

    def recheck(self, store: ObjectStore, suspect: Expected) -> None:
        """Lists the objects of one copy and records whether it is lost."""
        sizes = {stat.key: stat.size for stat in store.list(suspect.prefix)}
        problem = damage(suspect.prefix, suspect.sizes, sizes)
        now = self._tools.clock.now()
        if problem is not None:
            with self._tools.catalog.write() as session:
                deletion.lose(session, suspect.copy_pk, problem, now)
        elif suspect.lost:
            with self._tools.catalog.write() as session:
                deletion.find(session, suspect.copy_pk, now)


class _KeySet:
    """A set of row keys, one bit each, because there may be millions."""

    def __init__(self) -> None:
        self._bits = bytearray()

    def add(self, key: int) -> None:
        byte = key >> 3
        if byte >= len(self._bits):
            self._bits.extend(bytes(byte - len(self._bits) + 4096))
        self._bits[byte] |= 1 << (key & 7)

    def __contains__(self, key: int) -> bool:
        byte = key >> 3
        return byte < len(self._bits) and bool(self._bits[byte] >> (key & 7) & 1)
