"""The consent of a restore's caller to differences, and how long old data stays aside."""

from collections.abc import Sequence

from holdfast.catalog.schema import Restore
from holdfast.contracts.engine import Undoable
from holdfast.contracts.job_arguments import RestoreArguments
from holdfast.domain.differences import KEEP_OLD_HOURS, Consent
from holdfast.domain.errors import RestoreDiffers
from holdfast.domain.units import HOUR_MS
from holdfast.jobs.core.job import Job


def require_consent(job: Job, differences: Sequence[str], skipped: Sequence[str] = ()) -> None:
    """RestoreDiffers unless the caller allowed everything; the log names what was allowed."""
    refusal = consent_of(job).refusal(differences, skipped)
    if refusal is not None:
        raise RestoreDiffers(refusal)
    for sentence in skipped:
        job.say(f"left out, as was allowed: {sentence}")
    for sentence in differences:
        job.say(f"accepted: {sentence}")


def consent_of(job: Job) -> Consent:
    arguments = job.parse(RestoreArguments)
    return Consent(arguments.accepted, skips_failed=arguments.skips_failed)


def keep_old_hours(job: Job, *, deviates: bool, directories: bool = False) -> int:
    """Hours that the old data stays aside; 0: the swap removes it.

    As the caller chose; by default only if the restore `deviates` and can be undone: `directories`
    that change places always can, other restores where the engine says so.
    """
    hours = job.parse(RestoreArguments).keep_old_hours
    if hours is not None:
        return hours
    undoable = directories or isinstance(job.engine(), Undoable)
    return KEEP_OLD_HOURS if deviates and undoable else 0


def note_old_data(restore: Restore, job: Job, *, deviates: bool, directories: bool = False) -> None:
    """Records until when an undo is possible, in the transaction that ends the restore."""
    hours = keep_old_hours(job, deviates=deviates, directories=directories)
    if hours:
        restore.old_until = job.tools.clock.now() + hours * HOUR_MS
