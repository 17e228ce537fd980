"""Are the snapshots of a repository still whole?

The cheap look compares the packs that the index names with those that the store lists. Only when
one is missing or short, or when the look is meant to be thorough, the directories of the snapshots
are read, and every block of every file is sought in the index. A flipped bit inside of a pack shows
only when the pack is read: each inventory reads a share of them, and those again that were spoiled
before.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from holdfast.catalog.schema import Repository as Row
from holdfast.catalog.storage import copies, repositories
from holdfast.domain.errors import ObjectMissing, SealBroken, StoreUnavailable
from holdfast.domain.snapshot import NOTHING, Stretch
from holdfast.repositories.restic.read.reading import needs
from holdfast.repositories.restic.repository import Repository
from holdfast.repositories.restic.upkeep.mending import missing_packs, spoiled_packs
from holdfast.usecases.snapshots.snapshot_repositories import snapshot_id
from holdfast.usecases.toolbox import Toolbox

_LOOKS = 5
"""Tidying may put packs and index objects in each other's place while they are looked at."""


@dataclass(frozen=True)
class Look:
    """How to look, at these snapshots. `stretch` says which packs are read whole."""

    names: Collection[str]
    thorough: bool
    stretch: Stretch = NOTHING


@dataclass(frozen=True)
class Found:
    """What is wrong with each snapshot (None: nothing), and which packs are not what was written.

    `spoiled` None: the repository could not be read, so nothing is known of its packs. `damaged`
    are other objects that are not what was written, by key, with what is wrong.
    """

    wrong: Mapping[str, str | None]
    spoiled: Mapping[str, str] | None = field(default_factory=dict[str, str])
    damaged: Mapping[str, str] = field(default_factory=dict[str, str])


def damage_of(tools: Toolbox, copy_pk: int) -> str | None:
    """What is wrong with this snapshot; None: it is there and so is every block it needs.

    Raises StoreUnavailable and its like when that cannot be known.
    """
    with tools.catalog.read() as session:
        copy = copies.get(session, copy_pk)
        row = copy and repositories.find(session, copy.addon_pk, copy.destination_pk)
        session.expunge_all()
    if copy is None or row is None:
        return "its repository is not known here"
    name = snapshot_id(copy)
    return look(tools, row, Look([name], thorough=True)).wrong[name]


def look(tools: Toolbox, row: Row, how: Look) -> Found:
    """Damage counts when a second look, with an index that nobody changed meanwhile, finds it."""
    why = ""
    for _ in range(_LOOKS):
        try:
            repository = tools.snapshot_repositories.of_row(row)
            spoiled = _read(repository, row, how)
            return Found(_confirmed(repository, how, spoiled), spoiled, _damaged(repository))
        except (ObjectMissing, SealBroken) as error:
            why = f"its repository cannot be read: {error.message}"
    return Found(dict.fromkeys(how.names, why), None)


def _read(repository: Repository, row: Row, how: Look) -> dict[str, str]:
    known = set(row.spoiled or ())
    chosen = [name for name in repository.packs if name in known or how.stretch.holds(name)]
    return spoiled_packs(repository, sorted(chosen), _unheard)


def _unheard(count: int) -> None:
    """Nobody waits for an inventory."""


def _confirmed(
    repository: Repository, how: Look, spoiled: Mapping[str, str]
) -> dict[str, str | None]:
    found = _damages(repository, how, spoiled)
    for _ in range(_LOOKS):
        if not any(found.values()):
            return found
        before = _indexes(repository)
        repository.reload()
        found = _damages(repository, how, spoiled)
        if before == _indexes(repository):
            return found
    raise StoreUnavailable("the index of the repository changes all the time")


def _damaged(repository: Repository) -> dict[str, str]:
    _, broken = repository.readable_snapshots()
    found = {("snapshots", name): why for name, why in broken.items()} | repository.damaged
    return {repository.objects.key(kind, name): why for (kind, name), why in found.items()}


def _indexes(repository: Repository) -> list[str]:
    return [name for name, _ in repository.objects.names("index")]


def _damages(
    repository: Repository, how: Look, spoiled: Mapping[str, str]
) -> dict[str, str | None]:
    bad = {**missing_packs(repository), **spoiled}
    there = {name for name, _ in repository.objects.names("snapshots")}
    found: dict[str, str | None] = {}
    for name in how.names:
        if name not in there:
            found[name] = f"{repository.objects.key('snapshots', name)} is missing"
        elif bad or how.thorough:
            found[name] = _damage(repository, name, bad)
        else:
            found[name] = None
    return found


def _damage(repository: Repository, name: str, bad: Mapping[str, str]) -> str | None:
    try:
        return lacking(repository, repository.snapshot(name).tree, bad)
    except (ObjectMissing, SealBroken) as error:
        return error.message


def lacking(repository: Repository, tree: str, bad: Mapping[str, str]) -> str | None:
    """The first path of a snapshot that needs one of these packs, and what is wrong with that."""
    for what, pack in needs(repository, tree):
        if pack in bad:
            return f"{what.decode(errors='replace')} needs it, but {bad[pack]}"
    return None
