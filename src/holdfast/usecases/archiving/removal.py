"""Removes old log in steps that may be repeated, each after any pause.

`mark` notes how far each line is not needed any more. When that was so for the grace period and
what stays is proven, `decide` gives it up: a position in the line's row, under the addon's lock, by
the rows of that moment. From then on nothing counts on it, no receiver stores there and it never
grows back, so `sweep` may remove the objects however late. Rows of pieces go last.
"""

from collections.abc import Collection
from dataclasses import dataclass, field

from holdfast.catalog.archiving import archives, removals
from holdfast.catalog.database.session import WriteSession, lock_addon
from holdfast.catalog.database.touched import touch_archive
from holdfast.catalog.schema import ArchiveLine, ArchivePiece, ArchiveRow
from holdfast.catalog.storage import archive_facts, deletions, holdings
from holdfast.domain.archive.retention import Ruling
from holdfast.domain.retention.rules import Policy
from holdfast.usecases.retention.deletion import (
    Proof,
    ReadingPeriod,
    bases_to_prove,
    proof_of,
)

HELD = "all deletions by age are stopped"


@dataclass(frozen=True)
class Decision:
    """What to prove before anything is given up: copies of snapshots, and pieces to read in whole.
    Nothing to prove: all is decided."""

    proofs: list[Proof] = field(default_factory=list[Proof])
    unread: list[tuple[ArchiveLine, ArchivePiece]] = field(
        default_factory=list[tuple[ArchiveLine, ArchivePiece]]
    )


def mark(session: WriteSession, archive_pk: int, now: int, policy: Policy) -> bool:
    """Judges an archive: marks what may go, calls off what is needed. Whether anything is due."""
    archive = archives.get(session, archive_pk)
    lock_addon(session, archive.addon_pk)
    session.refresh(archive)
    if deletions.is_held(session, now):
        archive.obstacle, archive.review = HELD, now + policy.every_ms
        return False
    ruling = archive_facts.keeping(session, archive).ruling(now)
    archive.obstacle = ruling.obstacle or None
    for line in archives.lines(session, archive_pk):
        cut = ruling.cuts.get(line.pk, 0)
        if cut <= line.removed:
            line.marked = line.marked_at = line.due = None
        elif line.marked is None or line.due is None:
            line.marked, line.marked_at, line.due = cut, now, now + policy.grace_ms
        else:
            line.marked = min(line.marked, cut)
            # A clock that was ahead when it marked this must not make it wait for years.
            line.due = min(line.due, now + policy.grace_ms)
    waiting = archives.marks_due(session, archive_pk)
    archive.review = min([now + policy.every_ms, *(due for due in waiting if due > now)])
    return any(due <= now for due in waiting)


def decide(
    session: WriteSession, archive_pk: int, proven: Collection[int], now: int, policy: Policy
) -> Decision:
    """Gives up what is due, unless something that has to stay is not proven.

    `proven` are copies of snapshots whose objects were just seen; those of the pieces were, too.
    Everything is judged again by the rows as they are now.
    """
    archive = archives.get(session, archive_pk)
    lock_addon(session, archive.addon_pk)
    session.refresh(archive)
    lines = archives.lines(session, archive_pk)
    due = [line for line in lines if line.marked is not None and (line.due or 0) <= now]
    ruling = archive_facts.keeping(session, archive).ruling(now)
    cuts = {
        line.pk: min(line.marked or 0, ruling.cuts.get(line.pk, 0))
        for line in due
        if ruling.cuts.get(line.pk, 0) > line.removed
    }
    if not cuts or deletions.is_held(session, now):
        return Decision()
    since = min(line.marked_at or now for line in due)
    decision = unproven(session, archive, ruling, proven, since, now, policy)
    if decision.proofs or decision.unread:
        return decision
    for line in due:
        line.removed = max(line.removed, cuts.get(line.pk, 0))
        line.marked = line.marked_at = line.due = None
    archive.sweeping, archive.obstacle = True, None
    touch_archive(session, archive_pk)
    return decision


def unproven(
    session: WriteSession,
    archive: ArchiveRow,
    ruling: Ruling,
    proven: Collection[int],
    since: int,
    now: int,
    policy: Policy,
) -> Decision:
    """Snapshots have to be found and read as for the removal of other copies; every piece that was
    stored before the marking has to be read in whole once, and again when that was long ago."""
    all_copies = holdings.of_addon(session, archive.addon_pk)
    period = ReadingPeriod(now - policy.read_ms, now, policy.read_ms)
    proofs = [
        proof_of(session, holding, period)
        for holding in bases_to_prove(all_copies, ruling.bases, proven)
    ]
    legs = [leg for route in ruling.routes for leg in route.legs]
    late = now - policy.read_ms * 3 // 2
    unread = [
        (line, piece)
        for line, piece in removals.present(session, archive.pk)
        if piece.created <= since
        and piece.lost is None
        and (piece.read_at is None or not late <= piece.read_at <= now + policy.read_ms)
        and any(leg.line == line.pk and piece.end > leg.start for leg in legs)
    ]
    return Decision(proofs, unread)


def wait(session: WriteSession, archive_pk: int, why: str, until: int) -> None:
    """Judges an archive again then; shows why its old log stays for now."""
    archive = archives.get(session, archive_pk)
    archive.obstacle, archive.review = why, until
