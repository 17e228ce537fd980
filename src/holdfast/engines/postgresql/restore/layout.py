"""Places the databases of a dump on the target: the same places for every attempt of a restore."""

from collections.abc import Sequence
from dataclasses import dataclass

from holdfast.contracts.engine import Address, Attempt, Dump
from holdfast.domain.errors import EvidenceMissing, NotSupported
from holdfast.engines.postgresql.client.facts import Facts, without_users
from holdfast.engines.postgresql.restore.globals import Origin
from holdfast.engines.staging_names import stage_prefix

TEMPLATES = ("template0", "template1")
SYSTEM = ("postgres", *TEMPLATES)


@dataclass(frozen=True)
class Placement:
    """One database to be restored, as `name`, and its name while it is `staged`.

    `member` and `facts` are None for a database that stays empty; `facts` also for a database of an
    imported file, which records none.
    """

    name: str
    staged: str
    member: str | None
    facts: Facts | None


def placements(address: Address, dump: Dump, attempt: Attempt) -> Sequence[Placement]:
    """The databases of the dump, and an empty one in place of the target's own if the dump lacks
    it."""
    recorded = databases(dump)
    if dump.foreign:
        forbidden = sorted({str(facts["name"]) for facts in recorded} & set(TEMPLATES))
        if forbidden:  # databases are copies of a template
            raise EvidenceMissing(f"a foreign dump holds the server's own {', '.join(forbidden)}")
        recorded = [{**without_users(facts), "template": False} for facts in recorded]
    prefix = stage_prefix(attempt)
    sections = section(dump, "imported").get("sections") if dump.imported else None
    if dump.imported and not sections:
        return [Placement(address.database, f"{prefix}0", dump.members[0].name, None)]
    placed = [
        Placement(str(name), f"{prefix}{number}", dump.members[0].name, None)
        for number, name in enumerate(sections or ())
    ] or [
        Placement(str(facts["name"]), f"{prefix}{number}", str(facts["member"]), facts)
        for number, facts in enumerate(recorded)
    ]
    names = {placement.name for placement in placed}
    if attempt.keep_others:
        return placed
    if address.database not in names and address.database not in SYSTEM:
        placed.append(Placement(address.database, f"{prefix}{len(placed)}", None, None))
    return placed


def databases(dump: Dump) -> list[Facts]:
    recorded = dump.facts.get("databases")
    if not isinstance(recorded, list):
        raise NotSupported("the dump does not say which databases it holds")
    return [dict(entry) for entry in recorded]  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]


def origin(dump: Dump) -> Origin:
    server = section(dump, "server")
    return Origin(int(server["major"]), str(server["bootstrap"]))


def section(dump: Dump, name: str) -> Facts:
    recorded = dump.facts.get(name)
    if not isinstance(recorded, dict):
        raise NotSupported(f"the dump says nothing of its {name}")
    return dict(recorded)  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
