"""Warns, while a backup is made, of what it does not promise."""

from collections.abc import Iterator, Mapping

from holdfast.contracts.engine import warning
from holdfast.engines.mongodb.client.tools import version_parts

APART = "each collection by itself, not all at one instant"
_NAMES_UUIDS = (6, 0)
"""Since this version commands can name the UUID of the collection that they mean."""

_UNREADABLE = "users and roles are left out: our user may not read them; grant it the role backup"
_MIXED = (
    "{apart}: {cause}. Of what was written while the dump ran, also by one transaction, a part may"
    " be here and a part not; two documents may have one value of a unique index, which is then not"
    " made. {remedy}, or let nothing write while a backup is made"
)
_BY_NAME = (
    "MongoDB {version} cannot be told which collection a name must still be: while a restore onto"
    " this version puts collections into their places, nothing else may create, rename or drop"
    " them. 6.0 and newer refuse what would hit another one"
)


def of_dump(
    version: str, *, snapshots: bool, is_set: bool, accounts: bool
) -> Iterator[Mapping[str, str | None]]:
    """Warnings about a dump of a server of this version. `snapshots`: it reads at a cluster time;
    `accounts`: users and roles are in it, or were not wanted."""
    if not accounts:
        yield warning(None, "accounts", _UNREADABLE)
    if not snapshots:
        cause = f"MongoDB {version} has no reads at a cluster time"
        remedy = "Bring the server to 5.0"
        if not is_set:
            cause, remedy = "the server is no replica set", "Make it one, with itself as member"
        text = _MIXED.format(apart=APART, cause=cause, remedy=remedy)
        yield warning(None, "consistency", text)
    if version_parts(version)[:2] < _NAMES_UUIDS:
        yield warning(None, "restore", _BY_NAME.format(version=version))
