"""Names, slugs and patterns of the v1 API (`re.fullmatch`: a bare `$` would admit a newline)."""

import re
from collections.abc import Callable

from holdfast.domain.errors import Conflict

NAME = r"[a-zA-Z]((-|\s)?[a-zA-Z0-9]+((-|\s)[a-zA-Z0-9]+)*)?"
"""Projects and addons, 3 to 39 characters."""

BACKUP_NAME = r"[a-zA-Z0-9]+((-|\s|\/|:)[a-zA-Z0-9]+)*"
DESTINATION_NAME = r"[a-zA-Z0-9]+((-|\s)[a-zA-Z0-9]+)*"
DESTINATION_ID = r"[a-zA-Z0-9]+(-[a-zA-Z0-9]+)*"
DESTINATION_PREFIX = r"([a-zA-Z0-9\-_]+\/)?"
DESCRIPTION = r"[a-zA-Z0-9.,?\s\\/'\"()\[\];`%^&*\-_:!]+"
SOURCE_ID = r"[a-zA-Z](-?[a-zA-Z0-9]+(-[a-zA-Z0-9]+)*)?"
COLOR = r"#([0-9a-fA-F]{3}|[0-9a-fA-F]{6})"
HEX24 = r"[0-9a-f]{24}"


def slug(name: str) -> str:
    """`My App` to `my-app`; every run of anything else becomes one `-`."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def free_slug(name: str, is_taken: Callable[[str], bool]) -> str:
    """The slug of `name`, or the first of `-2`, `-3`, ... that is not taken."""
    base = slug(name)
    candidate, number = base, 1
    while is_taken(candidate):
        number += 1
        candidate = f"{base}-{number}"
    return candidate


def name_taken(a_noun: str, identifier: str) -> Conflict:
    """The conflict of a name whose slug exists already. `a_noun` with article: `a project`."""
    return Conflict(
        f"{a_noun} with the same derived identifier {identifier!r} exists already",
        {"name": f"derives {identifier!r}, which is taken"},
    )
