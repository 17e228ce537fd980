"""Retention as the API shows it: the plan, deletions, findings, inventories. Nothing writes."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from holdfast.catalog import destinations, projects
from holdfast.catalog.database.page import Page, Slice
from holdfast.catalog.database.session import ReadSession
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
    Owner,
    PlannedCopy,
    PlanTotals,
    Removal,
    StoreCheckView,
)


@dataclass(frozen=True)
class Scope:
    """Which addons: by the ids of their project and of themselves; None means all."""

    project: str | None = None
    addon: str | None = None


def plan_of(session: ReadSession, addon: Addon, now: int, policy: Policy) -> AddonPlan:
    """Every copy of one addon: what becomes of it, when, and why."""
    return _plans(session, [addon], now, policy)[0]


def plan(
    session: ReadSession, caller: Caller, page: Page, scope: Scope, now: int, policy: Policy
) -> Slice[AddonPlan]:  # fmt: skip
    """By addon, those that are deleted but have backups too, the newest addon first."""
    found = holdings.addons_holding(session, caller, page, scope.project, scope.addon)
    return Slice(_plans(session, found.items, now, policy), found.cursor)


def totals(session: ReadSession, now: int, policy: Policy) -> PlanTotals:
    """The whole plan, counted: addon by addon, never all of it in memory."""
    count, copies, sizes = 0, Counter[str](), Counter[str]()
    for held in holdings.of_all(session):
        count += 1
        for holding, outlook in outlooks(held, now, policy):
            copies[outlook.fate] += 1
            sizes[outlook.fate] += holding.size
    for leaving in holdings.leaving(session, None):
        copies[_fate(leaving.deletion)] += 1
        sizes[_fate(leaving.deletion)] += leaving.size
    fates = {str(fate): Amount(copies=copies[fate], bytes=str(sizes[fate])) for fate in Fate}
    return PlanTotals(addons=count, fates=fates)


def outlooks(held: Holdings, now: int, policy: Policy) -> Iterator[tuple[Holding, Outlook]]:
    """What becomes of each copy that is still held."""
    waiting = {h.held.key: h.due for h in held.present if h.due is not None}
    reviews = [h.review for h in held.present if h.review is not None]
    next_run = min(reviews, default=now)
    found = foresee(held.judged(now), waiting, next_run, now, policy)
    return zip(held.present, found, strict=True)


def _plans(
    session: ReadSession, rows: Sequence[Addon], now: int, policy: Policy
) -> list[AddonPlan]:
    pks = [addon.pk for addon in rows]
    held = holdings.of_addons(session, pks)
    leaving: dict[int, list[Leaving]] = {}
    for each in holdings.leaving(session, pks):
        leaving.setdefault(each.addon_pk, []).append(each)
    marked = [h.held.key for each in held.values() for h in each.present if h.due is not None]
    open_ = deletions.open_of(session, marked)
    places = destinations.ids_of(session, _places(held.values(), leaving))
    owners = {each: projects.get(session, each) for each in {a.project_pk for a in rows}}
    return [
        AddonPlan(
            project=_owner(owners[addon.project_pk]),
            addon=_owner(addon),
            copies=[
                *_leaving(leaving.get(addon.pk, []), places),
                *_kept(held.get(addon.pk) or Holdings(addon.pk, []), open_, places, (now, policy)),
            ],
        )
        for addon in rows
    ]


def _places(held: Collection[Holdings], leaving: Mapping[int, list[Leaving]]) -> set[int]:
    kept = {h.held.destination_pk for each in held for h in each.present}
    going = {each.deletion.destination_pk for rows in leaving.values() for each in rows}
    return {place for place in kept | going if place is not None}


def _owner(row: Addon | Project) -> Owner:
    return Owner(id=row.id, name=row.name, deleted=True if row.deleted else None)


def _kept(
    held: Holdings,
    open_: Mapping[int, Deletion],
    places: Mapping[int, str],
    when: tuple[int, Policy],
) -> list[PlannedCopy]:
    found = [
        PlannedCopy(
            backup_id=holding.backup,
            destination_id=places.get(holding.held.destination_pk or 0),
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
        for holding, outlook in outlooks(held, *when)
    ]
    return found[::-1]


def _leaving(rows: Sequence[Leaving], places: Mapping[int, str]) -> list[PlannedCopy]:
    return [
        PlannedCopy(
            backup_id=each.backup,
            destination_id=places.get(each.deletion.destination_pk or 0),
            status=each.status,
            size=str(each.size),
            created_at=rfc3339(each.taken),
            fate=_fate(each.deletion),
            reasons=[each.deletion.reason],
            deletes_at=rfc3339(each.deletion.next_try or each.deletion.due),
            deletion=_removal(each.deletion),
        )
        for each in rows
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
    """When each store was compared with the catalogue, and what kept it from being."""
    known = {
        row.pk
        for row in destinations.living(session)
        if destinations.is_visible(session, caller, row)
    }
    rows = chores.named(session, chores.AUDIT)
    places = {chores.destination_of(row.name): row for row in rows}
    names = destinations.ids_of(session, {place for place in places if place is not None})
    return [
        StoreCheckView(
            destination_id=names.get(place or 0),
            due_at=rfc3339(row.due),
            ended_at=rfc3339_if(row.ended),
            problem=row.problem,
        )
        for place, row in places.items()
        if place is None or place in known
    ]
