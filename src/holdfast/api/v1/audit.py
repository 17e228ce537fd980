"""Audit log route (extension): the changes, with their callers and addresses."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query
from starlette.responses import Response

from holdfast.api.places import Paging
from holdfast.api.read_route import ReadRoute
from holdfast.api.reading import in_turn
from holdfast.catalog import audit as rows
from holdfast.catalog.audit import Criteria
from holdfast.domain.access import Caller, Permission
from holdfast.domain.errors import Invalid
from holdfast.http import answers
from holdfast.http.auth import requires
from holdfast.http.state import State
from holdfast.kit.clock import parse_rfc3339
from holdfast.views import audit as views
from holdfast.views.audit import AuditEntries
from holdfast.views.shapes.base import Many

router = APIRouter(tags=["audit log"], route_class=ReadRoute)

Reader = Annotated[Caller, Depends(requires(Permission.AUDIT_READ))]
_Text = Annotated[str | None, Query(max_length=200)]


class _Span:
    """A span of time, of which both ends are optional."""

    def __init__(
        self,
        start: Annotated[
            str | None, Query(alias="startTime", description="an RFC 3339 instant")
        ] = None,
        end: Annotated[
            str | None, Query(alias="endTime", description="an RFC 3339 instant, not included")
        ] = None,
    ) -> None:
        problems: dict[str, str] = {}
        self.start = _instant("startTime", start, problems)
        self.end = _instant("endTime", end, problems)
        if problems:
            raise Invalid("the span of time is not valid", problems)


def _instant(name: str, text: str | None, problems: dict[str, str]) -> int | None:
    if text is None:
        return None
    try:
        return parse_rfc3339(text)
    except (ValueError, OverflowError):
        problems[name] = "must be an RFC 3339 instant such as 2026-11-21T03:00:00Z"
        return None


class _About:
    """The object of a change."""

    def __init__(
        self,
        kind: _Text = None,
        object_id: Annotated[str | None, Query(alias="objectId", max_length=200)] = None,
        project_id: Annotated[str | None, Query(alias="projectId", max_length=200)] = None,
        addon_id: Annotated[str | None, Query(alias="addonId", max_length=200)] = None,
    ) -> None:
        self.kind, self.object = kind, object_id
        self.project, self.addon = project_id, addon_id


@router.get("/audit-log", response_model=Many[AuditEntries])
@in_turn
def list_audit_log(
    api: State,
    caller: Reader,
    page: Paging,
    span: Annotated[_Span, Depends()],
    about: Annotated[_About, Depends()],
    actor: Annotated[str | None, Query(description="a token's id or name")] = None,
) -> Response:
    """Every change made through the API, the newest first; never a secret."""
    filters = Criteria(
        since=span.start,
        until=span.end,
        actor=actor,
        kind=about.kind,
        object=about.object,
        project=about.project,
        addon=about.addon,
    )
    with api.catalog.read() as session:
        entries = rows.listed(session, caller, page, filters)
        items = [views.view(entry) for entry in entries.items]
    return answers.many(AuditEntries(entries=items), len(items), entries.cursor)
