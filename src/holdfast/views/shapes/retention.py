"""Answers about retention: plans, deletions, findings and store checks."""

from holdfast.views.shapes.base import Shape


class Owner(Shape):
    id: str
    name: str
    deleted: bool | None = None


class Removal(Shape):
    """An open deletion. It begins at `dueAt` at the earliest; until then it may be called off."""

    reason: str
    due_at: str
    begun_at: str | None = None
    tries: int
    last_error: str | None = None
    next_try_at: str | None = None


class PlannedCopy(Shape):
    """`fate` is kept, expired, marked, going or stuck. `deletesAt` is when the copy is deleted if
    nothing changes; `earliestAt` when a kept one could be, once all other reasons to keep it end.
    """

    backup_id: str
    destination_id: str | None = None
    status: str
    size: str
    created_at: str
    expires_at: str | None = None
    fate: str
    reasons: list[str]
    deletes_at: str | None = None
    earliest_at: str | None = None
    deletion: Removal | None = None


class AddonPlan(Shape):
    """The planned copies of an addon, the newest backup first."""

    project: Owner
    addon: Owner
    copies: list[PlannedCopy]


class PlanList(Shape):
    addons: list[AddonPlan]


class Amount(Shape):
    copies: int
    bytes: str


class PlanTotals(Shape):
    """Totals by fate, over all addons."""

    addons: int
    fates: dict[str, Amount]


class DeletionView(Shape):
    """A deletion that is done, open or called off, and why."""

    id: str
    state: str
    reason: str
    project_id: str | None = None
    addon_id: str | None = None
    backup_id: str | None = None
    destination_id: str | None = None
    prefix: str
    created_at: str
    due_at: str
    begun_at: str | None = None
    done_at: str | None = None
    outcome: str | None = None
    called_off: str | None = None
    tries: int
    last_error: str | None = None
    next_try_at: str | None = None


class DeletionList(Shape):
    deletions: list[DeletionView]


class FindingView(Shape):
    """A difference that a store check found: lost, leftover, foreign or damaged."""

    id: str
    kind: str
    destination_id: str | None = None
    prefix: str
    objects: int
    bytes: str
    backup_id: str | None = None
    reason: str
    created_at: str
    seen_at: str
    settled_at: str | None = None
    outcome: str | None = None


class FindingList(Shape):
    findings: list[FindingView]


class StoreCheckView(Shape):
    """The check of one store; without `destinationId` the platform's own."""

    destination_id: str | None = None
    due_at: str
    ended_at: str | None = None
    problem: str | None = None


class AuditList(Shape):
    audits: list[StoreCheckView]


class HoldView(Shape):
    """Whether retention is held, by whom, and why. `resumesAt`: it was, and goes on then. `begun`:
    removals that had begun, which nothing stops."""

    held: bool
    placed_at: str | None = None
    placed_by: str | None = None
    reason: str | None = None
    resumes_at: str | None = None
    begun: int


class PruneAnswer(Shape):
    """Copies marked now, called off now, and expired ones left for later runs."""

    marked: int
    called_off: int
    expired: int
