"""Differences between a backup and its restore, and the caller's consent to them."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

SHOWN = 20
"""Maximum of differences listed in a reason; the report has all of them."""

KEEP_OLD_HOURS = 24
"""Hours the old data stays aside after a restore with accepted differences."""

MAX_KEEP_OLD_HOURS = 24 * 365


@dataclass(frozen=True)
class Consent:
    """What the caller allowed in advance.

    `accepted`: differences the caller has read, word for word; any other still ends the restore.
    `skips_failed`: objects that cannot be created and hold no data may be left out.
    """

    accepted: Collection[str] = ()
    skips_failed: bool = False

    def refusal(self, differences: Sequence[str], skipped: Sequence[str]) -> str | None:
        """Why the restore must stop, and the option that would allow it; None: it may go on."""
        accepted = frozenset(self.accepted)
        unseen = [difference for difference in differences if difference not in accepted]
        parts: list[str] = []
        if skipped and not self.skips_failed:
            parts.append(
                f"{len(skipped)} objects could not be made: {_listed(skipped)}; to restore without"
                " them use --skip-failed-objects (skipFailedObjects)"
            )
        if unseen:
            parts.append(
                f"{_listed(unseen)}; to restore in spite of these differences use"
                " --accept-differences (acceptDifferences)"
            )
        return "; ".join(parts) or None


def _listed(sentences: Sequence[str]) -> str:
    more = len(sentences) - SHOWN
    listed = "; ".join(sentences[:SHOWN])
    return f"{listed}; and {more} more" if more > 0 else listed
