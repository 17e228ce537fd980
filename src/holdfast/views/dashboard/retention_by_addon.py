"""What retention holds of each addon, in numbers; its own plan says which copy goes and why."""

from dataclasses import dataclass

from holdfast.catalog import projects
from holdfast.catalog.database.page import Page, Slice
from holdfast.catalog.database.session import ReadSession
from holdfast.catalog.storage import holdings
from holdfast.catalog.storage.holdings import Tally
from holdfast.domain.access import Caller


@dataclass(frozen=True, slots=True)
class AddonTally:
    """One addon with copies. `is_deleted`: its backups are kept until they expire."""

    project_id: str
    id: str
    name: str
    is_deleted: bool
    tally: Tally


def by_addon(session: ReadSession, caller: Caller, page: Page, now: int) -> Slice[AddonTally]:
    """Addons that the caller sees and that have copies, the newest addon first."""
    listed = holdings.addons_holding(session, caller, page, None, None)
    tallies = holdings.tallies(session, [addon.pk for addon in listed.items], now)
    owners = {pk: projects.get(session, pk) for pk in {addon.project_pk for addon in listed.items}}
    rows = [
        AddonTally(
            project_id=owners[addon.project_pk].id,
            id=addon.id,
            name=addon.name,
            is_deleted=addon.deleted is not None,
            tally=tallies[addon.pk],
        )
        for addon in listed.items
        if addon.pk in tallies
    ]
    return Slice(rows, listed.cursor)
