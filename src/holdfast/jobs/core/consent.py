"""What the person who ordered a restore allowed in advance, and how long the old data stays."""

from collections.abc import Sequence
from typing import cast

from holdfast.catalog.schema import Restore
from holdfast.contracts.engine import Undoable
from holdfast.domain.differences import KEEP_OLD_HOURS, Consent
from holdfast.domain.errors import RestoreDiffers
from holdfast.jobs.core.job import Job

_HOUR_MS = 3_600_000


def require_consent(job: Job, differences: Sequence[str], skipped: Sequence[str] = ()) -> None:
    """RestoreDiffers unless the person allowed all of it; the log says what they allowed."""
    refusal = consent_of(job).refusal(differences, skipped)
    if refusal is not None:
        raise RestoreDiffers(refusal)
    for sentence in skipped:
        job.say(f"left out, as was allowed: {sentence}")
    for sentence in differences:
        job.say(f"accepted: {sentence}")


def consent_of(job: Job) -> Consent:
    accepted = cast("list[str]", job.arguments.get("accept", []))
    return Consent(accepted, skips_failed=bool(job.arguments.get("skip_failed")))


def keep_old_hours(job: Job, *, deviates: bool) -> int:
    """Hours that the old data stays aside; 0: it goes with the swap.

    As asked; unasked, only after a restore that `deviates` from its backup, and where it can be.
    """
    asked = job.arguments.get("keep_old")
    if asked is not None:
        return int(str(asked))
    return KEEP_OLD_HOURS if deviates and isinstance(job.engine(), Undoable) else 0


def note_old_data(restore: Restore, job: Job, *, deviates: bool) -> None:
    """In the transaction that ends the restore: until when an undo is possible."""
    hours = keep_old_hours(job, deviates=deviates)
    if hours:
        restore.old_until = job.tools.clock.now() + hours * _HOUR_MS
