"""Makes the API's views of retention: plan, deletions, findings, store checks. Writes nothing."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from holdfast.catalog import destinations, projects
from holdfast.catalog.database.page import Page, Slice
from holdfast.catalog.database.session import ReadSession, see_one_state
from holdfast.catalog.schema import Addon, Deletion, Finding, Project
from holdfast.catalog.storage import deletions, holdings
from holdfast.catalog.storage.holdings import Holding, Holdings, Leaving
from holdfast.catalog.work import chores
from holdfast.domain.access import Caller
from holdfast.domain.retention.outlook import Fate, Outlook, foresee
from holdfast.domain.retention.rules import Policy
from holdfast.kit.clock import rfc3339, rfc3339_if
from holdfast.views.shapes.retention import (
    AddonPlan,
    Amount,
    DeletionView,
    FindingView,
    HoldView,
    Owner,
    PlannedCopy,
    PlanTotals,
    Removal,
    StoreCheckView,
)


@dataclass(frozen=True)
class Scope:
    """A choice of addons, by the ids of their project and of themselves; None means all."""

    project: str | None = None
    addon: str | None = None


def plan_of(session: ReadSession, addon: Addon, now: int, policy: Policy) -> AddonPlan:
    """Plans the future of every copy of one addon: what, when, and why."""
    return _plans(session, [addon], now, policy)[0]


def plan(
    session: ReadSession, caller: Caller, page: Page, scope: Scope, now: int, policy: Policy
) -> Slice[AddonPlan]:  # fmt: skip
    """Plans by addon, with deleted addons that have backups, the newest addon first."""
    addons_page = holdings.addons_holding(session, caller, page, scope.project, scope.addon)
    return Slice(_plans(session, addons_page.items, now, policy), addons_page.cursor)


def totals(session: ReadSession, now: int, policy: Policy) -> PlanTotals:
    """Counts the whole plan, addon by addon, so that it is never all in memory."""
    see_one_state(session)
    count, copies, sizes = 0, Counter[str](), Counter[str]()
    for addon_holdings in holdings.of_all(session):
        count += 1
        for holding, outlook in outlooks(addon_holdings, now, policy):
            copies[outlook.fate] += 1
            sizes[outlook.fate] += holding.size
    for leaving in holdings.leaving(session, None):
        copies[_fate(leaving.deletion)] += 1
        sizes[_fate(leaving.deletion)] += leaving.size
    fates = {str(fate): Amount(copies=copies[fate], bytes=str(sizes[fate])) for fate in Fate}
    return PlanTotals(addons=count, fates=fates)


def outlooks(
    addon_holdings: Holdings, now: int, policy: Policy
) -> Iterator[tuple[Holding, Outlook]]:
    """Foresees the future of each copy that is still held."""
    waiting = {h.held.key: h.due for h in addon_holdings.present if h.due is not None}
    reviews = [h.review for h in addon_holdings.present if h.review is not None]
    next_run = min(reviews, default=now)
    outlooks_of_copies = foresee(addon_holdings.judged(now), waiting, next_run, now, policy)
    return zip(addon_holdings.present, outlooks_of_copies, strict=True)


def _plans(
    session: ReadSession, rows: Sequence[Addon], now: int, policy: Policy
) -> list[AddonPlan]:
    pks = [addon.pk for addon in rows]
    holdings_of = holdings.of_addons(session, pks)
    leaving: dict[int, list[Leaving]] = {}
    for row in holdings.leaving(session, pks):
        leaving.setdefault(row.addon_pk, []).append(row)
    marked = [h.held.key for row in holdings_of.values() for h in row.present if h.due is not None]
    open_ = deletions.open_of(session, marked)
    destination_pks = {h.held.destination_pk for row in holdings_of.values() for h in row.present}
    destination_pks |= {
        copy.deletion.destination_pk for copies in leaving.values() for copy in copies
    }
    destination_ids = destinations.ids_of(session, {pk for pk in destination_pks if pk is not None})
    owners = {pk: projects.get(session, pk) for pk in {addon.project_pk for addon in rows}}
    return [
        AddonPlan(
            project=_owner(owners[addon.project_pk]),
            addon=_owner(addon),
            copies=[
                *_leaving(leaving.get(addon.pk, []), destination_ids),
                *_staying(
                    holdings_of.get(addon.pk) or Holdings(addon.pk, []),
                    open_,
                    destination_ids,
                    now,
                    policy,
                ),
            ],
        )
        for addon in rows
    ]


def _owner(row: Addon | Project) -> Owner:
    return Owner(id=row.id, name=row.name, deleted=True if row.deleted else None)


def _staying(
    addon_holdings: Holdings,
    open_: Mapping[int, Deletion],
    destination_ids: Mapping[int, str],
    now: int,
    policy: Policy,
) -> list[PlannedCopy]:
    planned = [
        PlannedCopy(
            backup_id=holding.backup,
            destination_id=destination_ids.get(holding.held.destination_pk or 0),
            status=holding.status,
            size=str(holding.size),
            created_at=rfc3339(holding.taken),
            expires_at=rfc3339_if(holding.held.expires),
            fate=outlook.fate,
            reasons=[str(reason) for reason in outlook.verdict.reasons],
            deletes_at=rfc3339_if(outlook.goes),
            earliest_at=rfc3339_if(outlook.earliest),
            deletion=_removal(open_.get(holding.held.key)),
        )
        for holding, outlook in outlooks(addon_holdings, now, policy)
    ]
    return planned[::-1]


def _leaving(leaving: Sequence[Leaving], destination_ids: Mapping[int, str]) -> list[PlannedCopy]:
    return [
        PlannedCopy(
            backup_id=row.backup,
            destination_id=destination_ids.get(row.deletion.destination_pk or 0),
            status=row.status,
            size=str(row.size),
            created_at=rfc3339(row.taken),
            fate=_fate(row.deletion),
            reasons=[row.deletion.reason],
            deletes_at=rfc3339(row.deletion.next_try or row.deletion.due),
            deletion=_removal(row.deletion),
        )
        for row in leaving
    ]


def _fate(deletion: Deletion) -> Fate:
    return Fate.STUCK if deletion.last_error else Fate.GOING


def _removal(deletion: Deletion | None) -> Removal | None:
    if deletion is None:
        return None
    return Removal(
        reason=deletion.reason,
        due_at=rfc3339(deletion.due),
        begun_at=rfc3339_if(deletion.begun),
        tries=deletion.tries,
        last_error=deletion.last_error,
        next_try_at=rfc3339_if(deletion.next_try),
    )


def hold_view(session: ReadSession, now: int) -> HoldView:
    row = deletions.hold(session)
    resumes = row.resumes if row.resumes is not None and now < row.resumes else None
    return HoldView(
        held=row.placed is not None,
        placed_at=rfc3339_if(row.placed),
        placed_by=row.placed_by,
        reason=row.reason,
        resumes_at=rfc3339_if(resumes),
        begun=deletions.begun_count(session),
    )


def deletions_view(session: ReadSession, rows: Sequence[Deletion]) -> list[DeletionView]:
    owners = holdings.owners(session, {row.copy_pk for row in rows if row.copy_pk})
    places = _place_names(session, rows)
    return [
        DeletionView(
            id=str(row.pk),
            state=_state(row),
            reason=row.reason,
            project_id=owner.project if owner else None,
            addon_id=owner.addon if owner else None,
            backup_id=owner.backup if owner else None,
            destination_id=places.get(row.destination_pk or 0),
            prefix=row.prefix,
            created_at=rfc3339(row.created),
            due_at=rfc3339(row.due),
            begun_at=rfc3339_if(row.begun),
            done_at=rfc3339_if(row.done),
            outcome=row.outcome,
            called_off=row.called_off,
            tries=row.tries,
            last_error=row.last_error,
            next_try_at=rfc3339_if(row.next_try),
        )
        for row in rows
        for owner in [owners.get(row.copy_pk or 0)]
    ]


def _state(row: Deletion) -> str:
    if row.called_off is not None:
        return "called-off"
    if row.done is not None:
        return "done"
    if row.last_error is not None:
        return Fate.STUCK
    return Fate.GOING if row.begun is not None else Fate.MARKED


def findings_view(session: ReadSession, rows: Sequence[Finding]) -> list[FindingView]:
    owners = holdings.owners(session, {row.copy_pk for row in rows if row.copy_pk})
    places = _place_names(session, rows)
    return [
        FindingView(
            id=str(row.pk),
            kind=row.kind,
            destination_id=places.get(row.destination_pk or 0),
            prefix=row.prefix,
            objects=row.objects,
            bytes=str(row.bytes),
            backup_id=owner.backup if owner else None,
            reason=row.reason,
            created_at=rfc3339(row.created),
            seen_at=rfc3339(row.seen),
            settled_at=rfc3339_if(row.settled),
            outcome=row.outcome,
        )
        for row in rows
        for owner in [owners.get(row.copy_pk or 0)]
    ]


def _place_names(
    session: ReadSession, rows: Sequence[Deletion] | Sequence[Finding]
) -> dict[int, str]:
    return destinations.ids_of(session, {r.destination_pk for r in rows if r.destination_pk})


def audits(session: ReadSession, caller: Caller) -> list[StoreCheckView]:
    """Views when each store was compared with the catalogue, and why it was not."""
    visible = {
        row.pk
        for row in destinations.living(session)
        if destinations.is_visible(session, caller, row)
    }
    rows = chores.named(session, chores.AUDIT)
    row_of = {chores.destination_of(row.name): row for row in rows}
    names = destinations.ids_of(
        session, {destination_pk for destination_pk in row_of if destination_pk is not None}
    )
    return [
        StoreCheckView(
            destination_id=names.get(destination_pk or 0),
            due_at=rfc3339(row.due),
            ended_at=rfc3339_if(row.ended),
            problem=row.problem,
        )
        for destination_pk, row in row_of.items()
        if destination_pk is None or destination_pk in visible
    ]
