"""Retention routes (extension): plan, hold, deletions, findings, store checks, and prune runs."""

from dataclasses import replace
from enum import StrEnum
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from starlette.responses import Response

from holdfast.api.places import AtAddon, Paging, own_destination_at
from holdfast.api.reading import in_turn
from holdfast.api.v1.addons.addons import ADDON, Deleter, Reader, Updater
from holdfast.catalog import destinations
from holdfast.catalog.storage import deletions, dump_checks, findings, repositories
from holdfast.catalog.work import chores
from holdfast.domain.access import Caller, Permission
from holdfast.domain.errors import Forbidden
from holdfast.http import answers
from holdfast.http.auth import requires
from holdfast.http.state import State
from holdfast.http.writing import Writing
from holdfast.usecases.context import Context
from holdfast.usecases.forms.forms import AuditForm, HoldForm, PruneForm
from holdfast.usecases.retention import expiry
from holdfast.views import retention as views
from holdfast.views.retention import Scope
from holdfast.views.shapes.base import Many, One
from holdfast.views.shapes.retention import (
    AddonPlan,
    AuditList,
    DeletionList,
    FindingList,
    HoldView,
    PlanList,
    PlanTotals,
    PruneAnswer,
)

router = APIRouter(tags=["retention"])

StoreReader = Annotated[Caller, Depends(requires(Permission.DESTINATION_READ))]
StoreUpdater = Annotated[Caller, Depends(requires(Permission.DESTINATION_UPDATE))]


class Kind(StrEnum):
    LOST = "lost"
    LEFTOVER = "leftover"
    FOREIGN = "foreign"
    DAMAGED = "damaged"


def scope_of(
    project_id: Annotated[str | None, Query(alias="projectId")] = None,
    addon_id: Annotated[str | None, Query(alias="addonId")] = None,
) -> Scope:
    return Scope(project_id, addon_id)


@router.get("/retention/plan", response_model=Many[PlanList])
def get_plan(
    api: State, caller: Reader, page: Paging, scope: Annotated[Scope, Depends(scope_of)]
) -> Response:
    """The future of every copy, when and why; addon by addon. Changes nothing."""
    with api.catalog.read() as session:
        planned = views.plan(session, caller, page, scope, api.clock.now(), api.policy)
    return answers.many(PlanList(addons=planned.items), len(planned.items), planned.cursor)


@router.get("/retention/plan/totals", response_model=One[PlanTotals])
def get_plan_totals(api: State, caller: Reader) -> Response:
    """Totals of the whole plan. Reads every copy's row, so it is slow."""
    _require_all_projects(caller, "the totals are")
    with api.catalog.read() as session:
        return answers.one(views.totals(session, api.clock.now(), api.policy))


def _require_all_projects(caller: Caller, subject: str) -> None:
    if caller.projects is not None:
        raise Forbidden(f"{subject} for tokens that see all projects")


@router.get(f"{ADDON}/retention-plan", response_model=One[AddonPlan])
def get_addon_plan(api: State, caller: Reader, at: AtAddon) -> Response:
    """The plan of one addon."""
    with api.catalog.read() as session:
        addon = at.addon(session, caller)
        return answers.one(views.plan_of(session, addon, api.clock.now(), api.policy))


@router.post(f"{ADDON}/prune", response_model=One[PruneAnswer])
def prune_addon(
    api: State, writing: Writing, caller: Updater, at: AtAddon, form: PruneForm
) -> Response:
    """Marks expired backups for deletion now; the grace period still applies."""
    share = api.policy.share if form.share is None else form.share

    def prune(context: Context) -> PruneAnswer:
        addon, policy = at.addon(context.session, caller), replace(api.policy, share=share)
        pruned = expiry.prune_addon(context.session, addon.pk, context.now, policy)
        return PruneAnswer(
            marked=pruned.marked, called_off=pruned.called_off, expired=pruned.expired
        )

    return writing.change(caller, prune)


@router.get("/retention/hold", response_model=One[HoldView])
@in_turn
def get_hold(api: State, caller: Reader) -> Response:
    """Whether retention is held: then no backup goes because of its age."""
    with api.catalog.read() as session:
        return answers.one(views.hold_view(session, api.clock.now()))


@router.put("/retention/hold", response_model=One[HoldView])
def hold_retention(writing: Writing, caller: Updater, form: HoldForm) -> Response:
    """Holds retention of the whole installation, at once and until it is released. What had begun
    to go, and what is deleted by hand, goes on."""

    def hold(context: Context) -> HoldView:
        expiry.hold(context, form.reason)
        return views.hold_view(context.session, context.now)

    return writing.change(caller, hold)


@router.delete("/retention/hold", response_model=One[HoldView])
def release_retention(api: State, writing: Writing, caller: Deleter) -> Response:
    """Lets retention go on. What is due waits for the grace period once more."""

    def release(context: Context) -> HoldView:
        expiry.release(context, api.policy.grace_ms)
        return views.hold_view(context.session, context.now)

    return writing.change(caller, release)


@router.get("/retention/deletions", response_model=Many[DeletionList])
@in_turn
def list_deletions(
    api: State,
    caller: Reader,
    page: Paging,
    *,
    only_open: Annotated[
        bool, Query(alias="open", description="only those that are neither done nor called off")
    ] = False,
) -> Response:
    """Deletions done, due or called off, with reasons; the newest first."""
    with api.catalog.read() as session:
        listed = deletions.listed(session, caller, page, open_only=only_open)
        items = views.deletions_view(session, listed.items)
    return answers.many(DeletionList(deletions=items), len(items), listed.cursor)


@router.get("/retention/findings", response_model=Many[FindingList])
@in_turn
def list_findings(
    api: State,
    caller: StoreReader,
    page: Paging,
    kind: Annotated[Kind | None, Query(description="lost, leftover, foreign or damaged")] = None,
) -> Response:
    """Differences that store checks found between store and catalogue; the newest first."""
    with api.catalog.read() as session:
        listed = findings.listed(session, caller, page, kind)
        items = views.findings_view(session, listed.items)
    return answers.many(FindingList(findings=items), len(items), listed.cursor)


@router.get("/retention/audits", response_model=One[AuditList])
@in_turn
def list_audits(api: State, caller: StoreReader) -> Response:
    """The last and the next comparison of each store with the catalogue."""
    with api.catalog.read() as session:
        return answers.one(AuditList(audits=views.audits(session, caller)))


@router.post("/retention/audits", response_model=One[AuditList])
def order_audits(writing: Writing, caller: StoreUpdater, form: AuditForm) -> Response:
    """Compares every store, or one, with the catalogue as soon as possible."""

    def order(context: Context) -> AuditList:
        if form.destination_id is not None:
            own = own_destination_at(context.session, caller, form.destination_id)
            destination_pks: list[int | None] = [own.pk]
        else:
            _require_all_projects(caller, "audits of every store are")
            living = destinations.living(context.session)
            destination_pks = [None, *(destination.pk for destination in living)]
        for destination_pk in destination_pks:
            for row in repositories.at_destination(context.session, destination_pk):
                chores.ask(context.session, chores.snapshot_check_of(row.pk), context.now)
                if form.read_data:
                    chores.ask(context.session, chores.reading_of(row.pk), context.now)
            if form.read_data:
                dump_checks.ask_for_destination(context.session, destination_pk, context.now)
            chores.ask(context.session, chores.audit_of(destination_pk), context.now)
        return AuditList(audits=views.audits(context.session, caller))

    return writing.change(caller, order)
