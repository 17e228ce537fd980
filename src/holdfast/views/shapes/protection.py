"""Answers about protection: the state of each addon, its reasons, and what was promised."""

from holdfast.views.shapes.base import Shape


class ProtectionReason(Shape):
    sentence: str
    since: str


class ProtectedAddon(Shape):
    id: str
    name: str
    type: str
    project_id: str


class ProtectionDay(Shape):
    """One UTC day: what was due, and what came of it."""

    date: str
    due: int
    good: int
    failed: int
    missed: int


class ProtectionItem(Shape):
    """`state` is unprotected, no plan, at risk, paused or protected. `maxAgeMinutes` is the
    objective that was held against `lastRecoverableAt`: the newest good backup, or the end of the
    window of an archived log. `provenAt` is when a restore last ended well,
    `proofSeconds` how long that took."""

    addon: ProtectedAddon
    state: str
    since: str | None = None
    reasons: list[ProtectionReason]
    first_good_at: str | None = None
    last_good_at: str | None = None
    last_recoverable_at: str | None = None
    next_due_at: str | None = None
    max_age_minutes: int | None = None
    proven_at: str | None = None
    proof_seconds: float | None = None
    places: int
    bytes: str


class ObjectiveView(Shape):
    max_age_minutes: int | None = None
    max_restore_minutes: int | None = None
    proven_within_days: int | None = None
    places: int | None = None


class ProtectionView(ProtectionItem):
    """`objective` is what counts for the addon, wherever it was set."""

    objective: ObjectiveView
    days: list[ProtectionDay]


class ProtectionWall(Shape):
    """All addons that the token sees, the worst first; `counts` by state."""

    addons: list[ProtectionItem]
    counts: dict[str, int]
