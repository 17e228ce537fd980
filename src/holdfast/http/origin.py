"""Derives the audit log's origin of a change from its request."""

from fastapi import Request

from holdfast.catalog.audit import Change
from holdfast.http.arrival import address_of, id_of
from holdfast.usecases.auditing import Origin

_NAMED = (
    *("restore", "schedule", "upload", "backup", "destination", "token", "role", "user", "session"),
    *("addon", "monitor"),
)


def origin_of(request: Request) -> Origin:
    """Returns the origin. Its action is the name of the route: `create_backup`, ...

    Asked for is the innermost object that the path names; without one, the installation.
    """
    named = request.path_params
    project, addon = named.get("project_id"), named.get("addon_id")
    kind = next((kind for kind in _NAMED if f"{kind}_id" in named), None)
    if kind is None:
        kind = "installation" if project is None else "project"
    name = str(named.get(f"{kind}_id", named.get("uid", project or "")))
    return Origin(
        request=id_of(request),
        address=address_of(request),
        action=str(request.scope["route"].name),
        asked=Change(kind, name, project, addon, before=None, after=None),
    )
