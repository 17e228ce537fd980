"""Names whose derived identifier somebody else has."""

from holdfast.domain.errors import Conflict


def name_taken(a_thing: str, identifier: str) -> Conflict:
    """`a_thing` with its article: `a project`."""
    return Conflict(
        f"{a_thing} with the same derived identifier {identifier!r} exists already",
        {"name": f"derives {identifier!r}, which is taken"},
    )
