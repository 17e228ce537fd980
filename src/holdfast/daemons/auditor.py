"""Compares every store with the catalogue now and then: lost, leftover, foreign."""

import logging
from collections.abc import Iterator
from itertools import islice

from holdfast.catalog import destinations
from holdfast.catalog.storage import findings, store_contents
from holdfast.catalog.storage.store_contents import Expected
from holdfast.catalog.work import chores
from holdfast.contracts.store import ObjectStore
from holdfast.daemons import custodian
from holdfast.daemons.lanes import Lanes
from holdfast.domain.errors import Failure
from holdfast.domain.store_check import damage
from holdfast.kit.clock import rfc3339
from holdfast.usecases.retention import deletion
from holdfast.usecases.store_check import object_check
from holdfast.usecases.store_check.object_check import Group, Judged, Strangers
from holdfast.usecases.toolbox import Toolbox

log = logging.getLogger(__name__)

_AT_ONCE = 200
_AGAIN_MS = 600_000
"""After a store that could not be listed."""
_WAIT_SECONDS = 1.0


class Auditor:
    """`every_ms` 0: only when somebody asks. `round_ms`: in that time the bytes of every pack of
    snapshots are read once; 0: only when somebody asks. Those of dumps are the reader's."""

    def __init__(self, tools: Toolbox, every_ms: int, round_ms: int = 0) -> None:
        self._tools = tools
        self._every_ms = every_ms
        self._round_ms = round_ms
        self._lanes = Lanes("auditor")

    def round(self) -> None:
        now = self._tools.clock.now()
        with self._tools.catalog.read() as session:
            places = [None, *(row.pk for row in destinations.living(session))]
            due = [p for p in places if chores.is_due(session, _name(p), now, self._every_ms)]
        for place in due:
            with self._tools.catalog.write() as session:
                mine = chores.take(session, _name(place), now, self._every_ms)
            if mine:
                self._lanes.start(place, lambda place=place: self._audit(place))
        self._lanes.wait(_WAIT_SECONDS)

    def _audit(self, place: int | None) -> None:
        """A store that cannot be listed is shown, and tried again soon."""
        problem: str | None = "it was interrupted"
        try:
            problem = self._compare(place)
        except Failure as failure:
            problem = failure.message
        finally:
            if problem is not None:
                log.error("an inventory failed", extra={"place": place, "problem": problem})
            now = self._tools.clock.now()
            after = _AGAIN_MS if problem is not None else self._every_ms
            due = now + after if after else chores.NEVER
            with self._tools.catalog.write() as session:
                chores.end(session, _name(place), due, now, problem)

    def _compare(self, place: int | None) -> str | None:
        """None: compared, and everything that should go went."""
        store, began = self._tools.open_store(place), self._tools.clock.now()
        seen, strangers, problem = _Seen(), Strangers(), None
        for judged in self._judged(store, place):
            for key in judged.whole:
                seen.add(key)
            for key in judged.back:
                with self._tools.catalog.write() as session:
                    deletion.find(session, key, began)
            for group, why in judged.foreign:
                strangers.add(group, why, began)
            for group, proof in judged.leftovers:
                problem = self._sweep(store, place, group, proof) or problem
        for key in custodian.compare(self._tools, place, strangers, began, self._round_ms):
            seen.add(key)
        self._miss(store, place, seen)
        with self._tools.catalog.write() as session:
            strangers.report(session, place, began)
            for pk in store_contents.stale(session, place, began):
                findings.settle(session, pk, "it is not there any more", began)
        return problem

    def _judged(self, store: ObjectStore, place: int | None) -> Iterator[Judged]:
        found = object_check.groups(store)
        while batch := list(islice(found, _AT_ONCE)):
            with self._tools.catalog.read() as session:
                yield object_check.judge(session, place, batch)

    def _sweep(self, store: ObjectStore, place: int | None, group: Group, proof: str) -> str | None:
        """Removes a leftover. One that cannot be removed stays an open finding."""
        now = self._tools.clock.now()
        with self._tools.catalog.write() as session:
            finding = object_check.report_leftover(session, place, group, proof, now)
        try:
            removed = store.clear(group.prefix)
        except Failure as failure:
            return f"{group.prefix}: {failure.message}"
        log.info("leftovers removed", extra={"prefix": group.prefix, "proof": proof})
        outcome = f"{removed} objects and unfinished uploads removed at {rfc3339(now)}"
        with self._tools.catalog.write() as session:
            findings.settle(session, finding, outcome, now)
        return None

    def _miss(self, store: ObjectStore, place: int | None, seen: "_Seen") -> None:
        """Completed copies that the listing did not show whole are looked at one by one."""
        after = 0
        while True:
            with self._tools.catalog.read() as session:
                keys = store_contents.completed_at(session, place, after, _AT_ONCE)
                suspects = store_contents.expected(
                    session, [key for key in keys if key not in seen]
                )
            for suspect in suspects:
                self._look_again(store, suspect)
            if not keys:
                return
            after = keys[-1]

    def _look_again(self, store: ObjectStore, suspect: Expected) -> None:
        found = {stat.key: stat.size for stat in store.list(suspect.prefix)}
        problem = damage(suspect.prefix, suspect.sizes, found)
        now = self._tools.clock.now()
        if problem is not None:
            with self._tools.catalog.write() as session:
                deletion.lose(session, suspect.copy_pk, problem, now)
        elif suspect.lost:
            with self._tools.catalog.write() as session:
                deletion.find(session, suspect.copy_pk, now)


def _name(place: int | None) -> str:
    return chores.audit_of(place)


class _Seen:
    """Which keys were seen: a bit each, because there may be millions."""

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
