"""Applies retention: marks expired copies, and deletes those whose grace period is over."""

import logging
from collections.abc import Sequence
from itertools import chain

from holdfast.catalog.database.session import ReadSession
from holdfast.catalog.storage import deletions
from holdfast.catalog.storage.deletions import Outcome
from holdfast.contracts.store import ObjectStore, Versioned
from holdfast.daemons.lanes import Lanes
from holdfast.domain.errors import Failure, StoreRefused
from holdfast.domain.retention.rules import Policy
from holdfast.domain.retention.store_check import damage
from holdfast.domain.snapshot import is_in_repository, is_snapshot_key
from holdfast.kit.steady_clock import Steadiness
from holdfast.usecases.retention import deletion, expiry
from holdfast.usecases.retention.deletion import Decision, Proof, Step
from holdfast.usecases.store_check import snapshot_check
from holdfast.usecases.toolbox import Toolbox

log = logging.getLogger(__name__)

_ADDONS_PER_ROUND = 500
_REMOVALS_PER_TURN = 200
_MAX_FAILURES = 3
"""Failures in a row after which a destination rests for a while."""
_REST_SECONDS = 60.0
_WAIT_SECONDS = 20.0
_RECHECK_MS = 600_000
"""Pause after which a deletion checks again whether the copies it waits for were read."""
_MAX_DECISIONS = 100
"""Decisions about one deletion in a turn: each may find another copy lost and decide again."""


class _Unread(Exception):
    """The copies that must stay are there, but their bytes were not read lately."""

    def __init__(self, proofs: Sequence[Proof]) -> None:
        super().__init__()
        self.proofs = proofs


class Pruner:
    """Marks and deletes copies for their age only while the clock is `steady` (None: it always
    is). A copy that a wrong clock marked is judged again before it is deleted."""

    def __init__(self, tools: Toolbox, policy: Policy, steady: Steadiness | None = None) -> None:
        self._steady = steady
        self._tools = tools
        self._policy = policy
        self._lanes = Lanes("pruner")
        self._resting: dict[int | None, float] = {}

    def round(self) -> None:
        self.expire()
        self.remove()

    def expire(self) -> None:
        """Judges the addons that are due and marks what may go."""
        if not self._is_steady():
            return
        now = self._tools.clock.now()
        with self._tools.catalog.read() as session:
            is_held = deletions.hold(session).placed is not None
            due = [] if is_held else expiry.due(session, now, _ADDONS_PER_ROUND)
        for addon_pk in due:
            with self._tools.catalog.write() as session:
                expiry.prune_due(session, addon_pk, now, self._policy)

    def remove(self) -> None:
        """Starts a turn at each destination that has due deletions."""
        now, moment = self._tools.clock.now(), self._tools.clock.monotonic()
        with self._tools.catalog.read() as session:
            aged = self._may_age_out(session, now)
            destination_pks = deletions.destinations_due(session, now, aged=aged)
        for destination_pk in destination_pks:
            if self._resting.get(destination_pk, moment) <= moment:
                self._lanes.start(
                    destination_pk,
                    lambda destination_pk=destination_pk: self.delete_due(destination_pk),
                )
        self._lanes.wait(_WAIT_SECONDS)

    def delete_due(self, destination_pk: int | None) -> None:
        """Carries out due deletions at one destination, up to a limit or a row of failures."""
        failures = 0
        for _ in range(_REMOVALS_PER_TURN):
            now = self._tools.clock.now()
            with self._tools.catalog.read() as session:
                aged = self._may_age_out(session, now)
                pk = deletions.next_due(session, destination_pk, now, aged=aged)
            if pk is None:
                return
            failures = 0 if self.try_to_delete(pk) else failures + 1
            if failures == _MAX_FAILURES:
                self._resting[destination_pk] = self._tools.clock.monotonic() + _REST_SECONDS
                return

    def _may_age_out(self, session: ReadSession, now: int) -> bool:
        """Whether copies go because of their age now; `decide` looks again before one begins to."""
        return self._is_steady() and not deletions.is_holding(deletions.hold(session), now)

    def _is_steady(self) -> bool:
        return self._steady is None or self._steady.holds()

    def try_to_delete(self, pk: int) -> bool:
        """Carries out one deletion. A failure is noted in its row, and it is retried later."""
        try:
            self.carry_out(pk)
        except _Unread as unread:
            self.wait_for_readings(pk, unread.proofs)
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

    def wait_for_readings(self, pk: int, proofs: Sequence[Proof]) -> None:
        """Requests a reading of the copies that must stay; the deletion waits for it."""
        names = " and ".join(dict.fromkeys(proof.backup for proof in proofs))
        why = f"{names}, which has to stay, is read in whole first"
        log.info("a deletion waits", extra={"deletion": pk, "why": why})
        now = self._tools.clock.now()
        with self._tools.catalog.write() as session:
            for proof in proofs:
                deletion.ask_to_read(session, proof.copy_pk, now)
            deletions.wait(session, pk, why, now + _RECHECK_MS)

    def carry_out(self, pk: int) -> None:
        """Deletes the objects; the row is done only after the store confirmed that none is left."""
        decision = self.decide(pk)
        if decision.step is not Step.REMOVE:
            return
        note = None
        if decision.prefix:
            store = self._tools.open_store(decision.destination_pk)
            remove(store, decision.prefix)
            note = left_behind(store)
        now = self._tools.clock.now()
        with self._tools.catalog.write() as session:
            deletion.finish(session, pk, now, Outcome(decision.address, note))

    def decide(self, pk: int) -> Decision:
        """Decides again and again until nothing is left to prove. Copies found missing are marked
        as lost, which changes the next decision."""
        proven: frozenset[int] = frozenset()
        for _ in range(_MAX_DECISIONS):
            now = self._tools.clock.now()
            with self._tools.catalog.write() as session:
                decision = deletion.decide(session, pk, proven, now, self._policy.read_ms)
            if decision.step is not Step.PROVE:
                return decision
            sound = [proof for proof in decision.floor if self.is_sound(proof)]
            if unread := [proof for proof in sound if proof.unread]:
                raise _Unread(unread)
            proven |= {proof.copy_pk for proof in sound}
        return Decision(Step.LEAVE)

    def is_sound(self, proof: Proof) -> bool:
        """Looks at the objects of a copy that must stay; marks it as lost if they are damaged."""
        if is_snapshot_key(proof.prefix):
            problem = snapshot_check.damage_of(self._tools, proof.copy_pk)
        else:
            stats = self._tools.open_store(proof.destination_pk).list(proof.prefix)
            sizes = {stat.key: stat.size for stat in stats}
            problem = damage(proof.prefix, proof.sizes, sizes)
        if problem is None:
            return True
        now = self._tools.clock.now()
        with self._tools.catalog.write() as session:
            deletion.lose(session, proof.copy_pk, problem, now)
        return False


def remove(store: ObjectStore, prefix: str) -> None:
    """Deletes the objects under a prefix. In a repository only single snapshot objects: anything
    else there is refused."""
    if is_snapshot_key(prefix):
        store.delete(prefix)
    elif is_in_repository(prefix):
        raise StoreRefused(f"{prefix} is no snapshot; nothing else of a repository is deleted")
    else:
        store.clear(prefix)
    left = chain(store.list(prefix), store.list(prefix, unfinished=True))
    for stat in left:
        raise StoreRefused(f"{stat.key} is still there after it was deleted")


def left_behind(store: ObjectStore) -> str | None:
    """A note if the bucket keeps versions of deleted objects; None: nothing is left."""
    if isinstance(store, Versioned) and store.hides_versions:
        log.info("only delete markers were written; the bucket keeps what they hide")
        return (
            "the bucket keeps versions: its objects are hidden by delete markers, and their space"
            " is freed by a lifecycle rule that expires noncurrent versions"
        )
    return None
