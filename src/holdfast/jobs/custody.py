"""Are the snapshots of a repository still whole? Looked at without reading any file's data.

The cheap look compares the packs that the index names with those that the store lists. Only when
one is missing or short, or when the look is meant to be thorough, the directories of the snapshots
are read, and every block of every file is sought in the index. A flipped bit inside of a pack is
not seen here: that takes reading everything, as restoring and `restic check --read-data` do.
"""

from collections.abc import Collection, Iterator

from holdfast.catalog import copies, repositories
from holdfast.catalog.schema import Repository as Row
from holdfast.domain.errors import ObjectMissing, SealBroken, StoreUnavailable
from holdfast.jobs.toolbox import Toolbox
from holdfast.jobs.vaults import snapshot_id
from holdfast.repositories.restic import pack
from holdfast.repositories.restic.pack import BlobType
from holdfast.repositories.restic.repository import Repository

_LOOKS = 5
"""Tidying may put packs and index objects in each other's place while they are looked at."""


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
    return damages(tools, row, [name], thorough=True)[name]


def damages(
    tools: Toolbox, row: Row, names: Collection[str], *, thorough: bool
) -> dict[str, str | None]:
    """What is wrong with each of these snapshots of a repository; None: nothing."""
    why = ""
    for _ in range(_LOOKS):
        try:
            return _confirmed(tools.vaults.of_row(row), names, thorough=thorough)
        except (ObjectMissing, SealBroken) as error:
            why = f"its repository cannot be read: {error.message}"
    return dict.fromkeys(names, why)


def _confirmed(
    repository: Repository, names: Collection[str], *, thorough: bool
) -> dict[str, str | None]:
    """Damage counts when a second look, with an index that nobody changed meanwhile, finds it."""
    found = _damages(repository, names, thorough=thorough)
    for _ in range(_LOOKS):
        if not any(found.values()):
            return found
        before = _indexes(repository)
        repository.reload()
        found = _damages(repository, names, thorough=thorough)
        if before == _indexes(repository):
            return found
    raise StoreUnavailable("the index of the repository changes all the time")


def _indexes(repository: Repository) -> list[str]:
    return [name for name, _ in repository.objects.names("index")]


def _damages(
    repository: Repository, names: Collection[str], *, thorough: bool
) -> dict[str, str | None]:
    bad = _bad_packs(repository)
    there = {name for name, _ in repository.objects.names("snapshots")}
    found: dict[str, str | None] = {}
    for name in names:
        if name not in there:
            found[name] = f"{repository.objects.key('snapshots', name)} is missing"
        elif bad or thorough:
            found[name] = _damage(repository, name, bad)
        else:
            found[name] = None
    return found


def _bad_packs(repository: Repository) -> dict[str, str]:
    """Packs that the index names and the store lacks or holds too short, with what is wrong."""
    sizes = dict(repository.objects.names("data"))
    bad: dict[str, str] = {}
    for name, entries in repository.listing():
        if name not in sizes:
            bad[name] = f"pack {name} is missing"
        elif sizes[name] < pack.size(entries):
            bad[name] = f"pack {name} is cut off at {sizes[name]} bytes"
    return bad


def _damage(repository: Repository, name: str, bad: dict[str, str]) -> str | None:
    try:
        for what, pack_name in _needs(repository, repository.snapshot(name).tree):
            if pack_name in bad:
                return f"{what.decode(errors='replace')} needs it, but {bad[pack_name]}"
    except (ObjectMissing, SealBroken) as error:
        return error.message
    return None


def _needs(repository: Repository, tree: str) -> Iterator[tuple[bytes, str]]:
    """Every path, with each pack that it needs."""
    yield b"/", _pack_of(repository, tree, BlobType.TREE)
    for path, node in repository.walk(tree):
        if node.is_directory:
            yield path, _pack_of(repository, node.subtree, BlobType.TREE)
        for blob in node.content:
            yield path, _pack_of(repository, blob, BlobType.DATA)


def _pack_of(repository: Repository, blob: str, kind: BlobType) -> str:
    return repository.place(bytes.fromhex(blob), kind).pack
