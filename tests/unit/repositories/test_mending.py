"""A mended index names what is there; whoever dies while mending harms no snapshot."""

import contextlib

import pytest

from fakes.stores import FaultyStore
from fixtures.timetables import SetClock
from holdfast.contracts.store import ObjectStore
from holdfast.domain.errors import StoreUnavailable
from holdfast.repositories.restic.format import crypto
from holdfast.repositories.restic.format.objects import Objects
from holdfast.repositories.restic.format.snapshot import Snapshot
from holdfast.repositories.restic.read.reading import needs, prove
from holdfast.repositories.restic.repository import Repository
from holdfast.repositories.restic.upkeep.mending import mend, missing_packs, spoiled_packs
from holdfast.repositories.restic.write.cutting import FixedCutter
from holdfast.repositories.restic.write.writing import SnapshotWriter
from holdfast.stores.memory.driver import MemoryStore
from holdfast.stores.memory.options import Options

KEY = crypto.new_key()


def unheard(count: int) -> None:
    """Nobody counts here."""


def save(repository: Repository, *texts: bytes) -> str:
    """Each text a file and a block of its own; the tree."""
    writer = SnapshotWriter(repository)
    for number, text in enumerate(texts):
        file = writer.file(b"data/%d" % number, 0o600, 1, FixedCutter(1 << 20))
        file.write(text)
        file.close()
    tree = writer.flush()
    repository.keep(Snapshot(1, tree, "h", ["/x"], []))
    return tree


def opened(store: ObjectStore) -> Repository:
    return Repository(Objects(store, "r/"), KEY)


def harmed() -> tuple[MemoryStore, str, str, list[str]]:
    """Two snapshots; one block of the second was spoiled, in a pack with another one."""
    store = MemoryStore(Options(), SetClock(1))
    repository = opened(store)
    good = save(repository, b"one" * 50, b"two" * 50)
    bad = save(repository, b"three" * 50, b"four" * 50)
    pack = dict(needs(repository, bad))[b"data/1"]
    key = repository.objects.key("data", pack)
    body = bytearray(b"".join(store.get(key)))
    place = repository.walk(bad)
    blob = next(node for path, node in place if path == b"data/1").content[0]
    found = next(p for p in repository.index.locations() if p.entry.id.hex() == blob)
    body[found.entry.offset] ^= 1
    upload = store.begin(key)
    upload.write(bytes(body))
    upload.commit()
    return store, good, bad, [pack]


def test_right_blobs_of_a_spoiled_pack_are_saved() -> None:
    store, good, bad, packs = harmed()
    repository = opened(store)
    assert list(spoiled_packs(repository, repository.packs, unheard)) == packs
    mended = mend(repository, packs, unheard)
    assert (mended.dropped, mended.saved) == (packs, 1)
    again = opened(store)
    assert not missing_packs(again)
    assert not spoiled_packs(again, again.packs, unheard)
    assert prove(again, good).files == 2
    save(again, b"three" * 50, b"four" * 50)  # stored anew, so the snapshot before is whole, too
    assert prove(opened(store), bad).files == 2


@pytest.mark.parametrize("call", ["commit", "delete", "get", "list"])
@pytest.mark.parametrize("nth", range(4))
def test_a_death_while_mending_harms_nothing_and_the_next_run_ends_it(call: str, nth: int) -> None:
    store, good, _, packs = harmed()
    repository = opened(FaultyStore(store))
    repository.objects.store.faults = {call: [*[None] * nth, StoreUnavailable("dead")]}  # type: ignore[attr-defined]
    with contextlib.suppress(StoreUnavailable):
        mend(repository, packs, unheard)
    assert prove(opened(store), good).files == 2
    mend(opened(store), packs, unheard)
    again = opened(store)
    assert prove(again, good).files == 2
    assert packs[0] not in again.packs
