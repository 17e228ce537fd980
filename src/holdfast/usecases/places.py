"""Where copies go: from what callers send to keys of destinations."""

from holdfast.catalog import destinations
from holdfast.catalog.schema import Addon
from holdfast.domain.errors import Invalid
from holdfast.usecases.context import Context


def known_destination(context: Context, addon: Addon, wanted: str, path: str) -> int:
    """Its key; Invalid names `path` when there is none that the addon's project may use."""
    found = destinations.find(context.session, wanted)
    visible = found is not None and destinations.is_visible(context.session, context.caller, found)
    if found is None or found.id != wanted or not visible:
        problem = f"there is no backup destination {wanted!r}"
        raise Invalid(problem, {path: problem})
    if not destinations.possession(found).usable_by(addon.project_pk):
        problem = f"the destination {wanted!r} is not granted to the addon's project"
        raise Invalid(f"{problem}; its owner can add the project to it", {path: problem})
    return found.pk
