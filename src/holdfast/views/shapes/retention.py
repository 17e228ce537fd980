"""Answers about retention: what is kept and why, what goes and when, what inventories found."""

from holdfast.views.shapes.base import Shape


class Owner(Shape):
    id: str
    name: str
    deleted: bool | None = None


class Removal(Shape):
    """A deletion on its way. Nothing is removed before `dueAt`; once begun it is not called off."""

    reason: str
    due_at: str
    begun_at: str | None = None
    tries: int
    last_error: str | None = None
    next_try_at: str | None = None


class PlannedCopy(Shape):
    """`fate` is kept, expired, marked, going or stuck. `deletesAt` is when it goes if nothing
    changes; `earliestAt` when a kept one could, once what else speaks for it has ceased."""

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
    """The newest backup first."""

    project: Owner
    addon: Owner
    copies: list[PlannedCopy]


class PlanList(Shape):
    addons: list[AddonPlan]


class Amount(Shape):
    copies: int
    bytes: str


class PlanTotals(Shape):
    """By fate, over all addons."""

    addons: int
    fates: dict[str, Amount]


class DeletionView(Shape):
    """What went, goes, or was called off, and why."""

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
    """What an inventory found at odds with the catalogue: lost, leftover, foreign or damaged."""

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
    """The inventory of one store; without `destinationId` that is the platform's own."""

    destination_id: str | None = None
    due_at: str
    ended_at: str | None = None
    problem: str | None = None


class AuditList(Shape):
    audits: list[StoreCheckView]


class PruneAnswer(Shape):
    """Copies marked now, called off now, and expired ones left for later runs."""

    marked: int
    called_off: int
    expired: int
