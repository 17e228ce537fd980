"""Removes old log of archives, and looks whether the rest of it is really there.

Any number of removers may run beside each other, and any of them may pause anywhere: what is
destroyed was given up by a row before (ADR 57).
"""

import logging
from collections.abc import Callable

from holdfast.catalog.archiving import removals
from holdfast.catalog.database.session import ReadSession
from holdfast.catalog.schema import Addon, ArchiveRow
from holdfast.daemons.lanes import Lanes
from holdfast.domain.errors import Failure
from holdfast.domain.retention.rules import Policy
from holdfast.domain.units import DAY_MS
from holdfast.kit.steady_clock import Steadiness
from holdfast.usecases.archiving import archives as verbs
from holdfast.usecases.archiving import pieces, removal
from holdfast.usecases.retention import deletion
from holdfast.usecases.retention.deletion import Proof
from holdfast.usecases.toolbox import Toolbox

log = logging.getLogger(__name__)

_LANE = "archives"
_WAIT_SECONDS = 20.0
_PROOF_SECONDS = 300.0
"""What was seen longer ago than this is looked at again before anything is given up."""
_MAX_DECISIONS = 100
_RECHECK_MS = 600_000


class _TooLate(Exception):
    """The proofs became old before they were used."""


class Remover:
    """`is_sound` looks at a copy of a snapshot that has to stay. Nothing is marked or given up for
    its age unless the clock is `steady` (None: it always is). In `read_within_ms` every piece is
    read in whole once; 0: only before something is given up."""

    def __init__(
        self,
        tools: Toolbox,
        policy: Policy,
        is_sound: Callable[[Proof], bool],
        steady: Steadiness | None = None,
        read_within_ms: int = 0,
    ) -> None:
        self._tools = tools
        self._policy = policy
        self._is_sound = is_sound
        self._steady = steady
        self._read_within_ms = read_within_ms
        self._lanes = Lanes("remover")

    def round(self) -> None:
        """Does what is due in a thread of its own: a store may hang."""
        self._lanes.start(_LANE, self.turn)
        self._lanes.wait(_WAIT_SECONDS)

    def turn(self) -> None:
        now = self._tools.clock.now()
        longest = self._policy.every_ms + self._policy.grace_ms
        self._for_all(self._review, lambda session: removals.to_review(session, now, longest))
        self._for_all(self._sweep, removals.to_sweep)

    def _for_all(
        self,
        work: Callable[[ArchiveRow, Addon], None],
        choose: Callable[[ReadSession], list[tuple[ArchiveRow, Addon]]],
    ) -> None:
        with self._tools.catalog.read() as session:
            rows = choose(session)
            session.expunge_all()
        for archive, addon in rows:
            try:
                work(archive, addon)
            except Failure as failure:
                extra = {"addon": addon.id, "error": failure.message}
                log.warning("old log was not removed", extra=extra)

    def _review(self, archive: ArchiveRow, addon: Addon) -> None:
        now = self._tools.clock.now()
        is_steady = self._steady is None or self._steady.holds()
        is_daily = archive.looked is None or abs(now - archive.looked) > DAY_MS
        is_due = False
        if is_steady:
            with self._tools.catalog.write() as session:
                is_due = removal.mark(session, archive.pk, now, self._policy)
        if is_due:
            self._give_up(archive, addon)
        if is_daily:
            layout = verbs.layout_of(self._tools, archive, addon)
            if not is_due:
                pieces.compare(self._tools, layout, archive.pk)
            if self._read_within_ms:
                pieces.read_due(self._tools, layout, archive.pk, self._read_within_ms)

    def _give_up(self, archive: ArchiveRow, addon: Addon) -> None:
        """Proves what stays, then decides. Whatever was lost meanwhile changes the decision."""
        layout = verbs.layout_of(self._tools, archive, addon)
        proven: frozenset[int] = frozenset()
        began = self._tools.clock.monotonic()
        pieces.compare(self._tools, layout, archive.pk)
        for _ in range(_MAX_DECISIONS):
            now = self._tools.clock.now()
            try:
                with self._tools.catalog.write() as session:
                    decision = removal.decide(session, archive.pk, proven, now, self._policy)
                    if self._tools.clock.monotonic() - began > _PROOF_SECONDS:
                        raise _TooLate  # nothing of it is written
            except _TooLate:
                proven, began = frozenset[int](), self._tools.clock.monotonic()
                pieces.compare(self._tools, layout, archive.pk)
                continue
            if not decision.proofs and not decision.unread:
                return
            sound = [proof for proof in decision.proofs if self._is_sound(proof)]
            unread = [proof for proof in sound if proof.unread]
            if unread:
                names = " and ".join(dict.fromkeys(proof.backup for proof in unread))
                why = f"{names}, which has to stay, is read in whole first"
                with self._tools.catalog.write() as session:
                    for proof in unread:
                        deletion.ask_to_read(session, proof.copy_pk, now)
                    removal.wait(session, archive.pk, why, now + _RECHECK_MS)
                return
            proven |= {proof.copy_pk for proof in sound}
            if not decision.proofs:
                pieces.read_in_whole(self._tools, layout, decision.unread)

    def _sweep(self, archive: ArchiveRow, addon: Addon) -> None:
        layout = verbs.layout_of(self._tools, archive, addon)
        while pieces.sweep(self._tools, layout, archive.pk):
            pass
