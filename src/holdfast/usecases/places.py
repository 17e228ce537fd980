"""Where copies go: from what callers send to keys of destinations."""

from holdfast.catalog import destinations
from holdfast.domain.errors import Invalid
from holdfast.usecases.context import Context


def known_destination(context: Context, wanted: str, path: str) -> int:
    """Its key; Invalid names `path` when there is no such destination."""
    found = destinations.find(context.session, wanted)
    if found is None or found.id != wanted:
        problem = f"there is no backup destination {wanted!r}"
        raise Invalid(problem, {path: problem})
    return found.pk
