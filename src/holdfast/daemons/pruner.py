"""Carries retention out: looks at what expired, and removes what was marked and waited."""

import logging
from collections.abc import Sequence
from itertools import chain, islice

from holdfast.catalog.storage import deletions
from holdfast.catalog.storage.deletions import Outcome
from holdfast.contracts.store import ObjectStore, Versioned
from holdfast.daemons.lanes import Lanes
from holdfast.domain.errors import Failure, StoreRefused
from holdfast.domain.retention.rules import Policy
from holdfast.domain.snapshot import is_in_repository, is_snapshot_key
from holdfast.domain.store_check import damage
from holdfast.kit.steady_clock import Steadiness
from holdfast.usecases.retention import deletion, expiry
from holdfast.usecases.retention.deletion import Decision, Proof, Step
from holdfast.usecases.store_check import snapshot_check
from holdfast.usecases.toolbox import Toolbox

log = logging.getLogger(__name__)

_ADDONS_A_ROUND = 500
_REMOVALS_A_TURN = 200
_IN_VAIN = 3
"""Failures in a row after which a place is left alone for a while."""
_REST_SECONDS = 60.0
_WAIT_SECONDS = 20.0
_READ_MS = 600_000
"""After which a deletion looks again whether what it waits for was read."""
_LOOKS = 100
"""Copies found lost one after another before one deletion lets the others pass."""


class _Unread(Exception):
    """What has to stay is there, but its bytes were not read lately."""

    def __init__(self, proofs: Sequence[Proof]) -> None:
        super().__init__()
        self.proofs = proofs


class Pruner:
    """Nothing is marked or removed for its age while the clock is not `steady` (None: it always
    is). What a clock marked that was ahead for longer waits, and is judged again before it goes."""

    def __init__(self, tools: Toolbox, policy: Policy, steady: Steadiness | None = None) -> None:
        self._steady = steady
        self._tools = tools
        self._policy = policy
        self._lanes = Lanes("pruner")
        self._resting: dict[int | None, float] = {}

    def round(self) -> None:
        self._prune()
        self.remove()

    def _prune(self) -> None:
        if not self._is_steady():
            return
        now = self._tools.clock.now()
        with self._tools.catalog.read() as session:
            due = expiry.due(session, now, _ADDONS_A_ROUND)
        for addon_pk in due:
            with self._tools.catalog.write() as session:
                expiry.prune_due(session, addon_pk, now, self._policy)

    def remove(self) -> None:
        now, moment = self._tools.clock.now(), self._tools.clock.monotonic()
        aged = self._is_steady()
        with self._tools.catalog.read() as session:
            places = deletions.places_due(session, now, aged=aged)
        for place in places:
            if self._resting.get(place, moment) <= moment:
                self._lanes.start(place, lambda place=place: self._turn(place))
        self._lanes.wait(_WAIT_SECONDS)

    def _turn(self, place: int | None) -> None:
        in_vain = 0
        for _ in range(_REMOVALS_A_TURN):
            now = self._tools.clock.now()
            with self._tools.catalog.read() as session:
                pk = deletions.next_due(session, place, now, aged=self._is_steady())
            if pk is None:
                return
            in_vain = 0 if self._try(pk) else in_vain + 1
            if in_vain == _IN_VAIN:
                self._resting[place] = self._tools.clock.monotonic() + _REST_SECONDS
                return

    def _is_steady(self) -> bool:
        return self._steady is None or self._steady.holds()

    def _try(self, pk: int) -> bool:
        """A deletion that fails says why in its row and is tried again later."""
        try:
            self._carry_out(pk)
        except _Unread as unread:
            self._wait_for(pk, unread.proofs)
            return True
        except Failure as failure:
            problem = failure.message
        except Exception as error:
            problem = f"{type(error).__name__}: {error}"
            log.exception("a deletion failed in an unknown way", extra={"deletion": pk})
        else:
            return True
        log.warning("could not delete", extra={"deletion": pk, "error": problem})
        now = self._tools.clock.now()
        with self._tools.catalog.write() as session:
            deletions.failed(session, pk, problem, now)
        return False

    def _wait_for(self, pk: int, proofs: Sequence[Proof]) -> None:
        """What stays is read in whole before the other one goes, by who reads dumps and packs."""
        names = " and ".join(dict.fromkeys(proof.backup for proof in proofs))
        why = f"{names}, which has to stay, is read in whole first"
        log.info("a deletion waits", extra={"deletion": pk, "why": why})
        now = self._tools.clock.now()
        with self._tools.catalog.write() as session:
            for proof in proofs:
                deletion.ask_to_read(session, proof.copy_pk, now)
            deletions.wait(session, pk, why, now + _READ_MS)

    def _carry_out(self, pk: int) -> None:
        """The row says done only after the store said that nothing is left."""
        decision = self._decide(pk)
        if decision.step is not Step.REMOVE:
            return
        note = None
        if decision.prefix:
            store = self._tools.open_store(decision.place)
            remove(store, decision.prefix)
            note = left_behind(store)
        now = self._tools.clock.now()
        with self._tools.catalog.write() as session:
            deletion.finish(session, pk, now, Outcome(decision.address, note))

    def _decide(self, pk: int) -> Decision:
        """Asks until nothing is left to prove. What is missing is lost, and judged again."""
        proven: frozenset[int] = frozenset()
        for _ in range(_LOOKS):
            now = self._tools.clock.now()
            with self._tools.catalog.write() as session:
                decision = deletion.decide(session, pk, proven, now, self._policy.read_ms)
            if decision.step is not Step.PROVE:
                return decision
            sound = [proof for proof in decision.floor if self._proven(proof)]
            if unread := [proof for proof in sound if proof.unread]:
                raise _Unread(unread)
            proven |= {proof.copy_pk for proof in sound}
        return Decision(Step.LEAVE)

    def _proven(self, proof: Proof) -> bool:
        problem = self._damage(proof)
        if problem is None:
            return True
        now = self._tools.clock.now()
        with self._tools.catalog.write() as session:
            deletion.lose(session, proof.copy_pk, problem, now)
        return False

    def _damage(self, proof: Proof) -> str | None:
        if is_snapshot_key(proof.prefix):
            return snapshot_check.damage_of(self._tools, proof.copy_pk)
        found = self._tools.open_store(proof.place).list(proof.prefix)
        return damage(proof.prefix, proof.sizes, {stat.key: stat.size for stat in found})


def remove(store: ObjectStore, prefix: str) -> None:
    """Of a repository nothing but a snapshot object is ever removed here, and never by prefix."""
    if is_snapshot_key(prefix):
        store.delete(prefix)
    elif is_in_repository(prefix):
        raise StoreRefused(f"{prefix} is no snapshot; nothing else of a repository is deleted")
    else:
        store.clear(prefix)
    left = _left(store, prefix)
    if left is not None:
        raise StoreRefused(f"{left} is still there after it was deleted")


def left_behind(store: ObjectStore) -> str | None:
    """What is worth knowing of a removal although nothing can be seen any more."""
    if isinstance(store, Versioned) and store.hides_versions:
        log.info("only delete markers were written; the bucket keeps what they hide")
        return (
            "the bucket keeps versions: its objects are hidden by delete markers, and their space"
            " is freed by a lifecycle rule that expires noncurrent versions"
        )
    return None


def _left(store: ObjectStore, prefix: str) -> str | None:
    there = chain(store.list(prefix), store.list(prefix, unfinished=True))
    return next((stat.key for stat in islice(there, 1)), None)
