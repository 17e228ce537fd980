"""What a restore found different from its backup, and whether the person has agreed to it."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

SHOWN = 20
"""Differences named in a reason; the report has all of them."""

KEEP_OLD_HOURS = 24
"""How long the old data stays aside after a restore that went on in spite of differences."""

MAX_KEEP_OLD_HOURS = 24 * 365


@dataclass(frozen=True)
class Consent:
    """What the person allowed in advance.

    `accepted`: the differences they have seen, word for word; a new one still ends the restore.
    `skips_failed`: objects that cannot be made and hold no data may be left out.
    """

    accepted: Collection[str] = ()
    skips_failed: bool = False

    def refusal(self, differences: Sequence[str], skipped: Sequence[str]) -> str | None:
        """Why the restore may not go on, with what would let it pass; None: it may."""
        seen = frozenset(self.accepted)
        unseen = [difference for difference in differences if difference not in seen]
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
