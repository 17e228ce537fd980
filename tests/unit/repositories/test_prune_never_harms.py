"""Whatever dies when, a snapshot that was kept can be read: random histories against a model."""

import hashlib
import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from typing import Any

import pytest
import zstandard
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from fakes.stores import FaultyStore
from holdfast.domain.errors import ObjectMissing, SealBroken
from holdfast.kit.seal import Secret
from holdfast.repositories.restic.format import crypto
from holdfast.repositories.restic.format.objects import Objects, seal_document
from holdfast.repositories.restic.format.snapshot import Snapshot
from holdfast.repositories.restic.repository import Repository, ensure_repository
from holdfast.repositories.restic.upkeep import pruning
from holdfast.repositories.restic.upkeep.pruning import prune
from holdfast.repositories.restic.write import packer
from holdfast.repositories.restic.write.copying import send
from holdfast.repositories.restic.write.writing import SnapshotWriter
from holdfast.stores.memory.driver import MemoryStore
from holdfast.stores.memory.options import Options

BLOCK = 1024
NOW = 1_790_000_000_000_000_000
Files = dict[str, bytes]


class Died(BaseException):
    """The process is gone at this call of the store."""


@dataclass
class MemoryRepository:
    """A repository in memory; `kept` are the files that its snapshots must still hold."""

    store: MemoryStore
    key: crypto.Key
    kept: dict[str, Files]

    def open(self, store: Any = None) -> Repository:
        return Repository(Objects(store or self.store, "r/"), self.key)


@cache
def made() -> tuple[MemoryStore, crypto.Key]:
    """One for all tests: deriving a key takes a third of a second."""
    store = MemoryStore(Options())
    return store, ensure_repository(store, "r/", Secret("p"), NOW).key


def new_repository() -> MemoryRepository:
    template, key = made()
    store = MemoryStore(Options())
    store.objects = dict(template.objects)
    return MemoryRepository(store, key, {})


def save(repository: Repository, files: Files) -> str:
    writer = SnapshotWriter(repository, BLOCK)
    for name, body in files.items():
        file = writer.file(name.encode(), 0o600, NOW)
        file.write(body)
        file.close()
    return repository.keep(Snapshot(NOW, writer.flush(), "h", ["/"], []))


class IndependentReader:
    """Reads by packs' own headers alone, and demands that the index agrees."""

    def __init__(self, memory: MemoryRepository) -> None:
        self.key = memory.key
        self.bodies = {key: data for key, (_, data) in memory.store.objects.items()}
        self.blobs = dict[tuple[int, str], bytes]()
        for key, body in self.bodies.items():
            if key.startswith("r/data/"):
                assert hashlib.sha256(body).hexdigest() == key.rpartition("/")[2]
                self._pack(body)

    def _pack(self, body: bytes) -> None:
        size = int.from_bytes(body[-4:], "little")
        table, offset = self.key.open(body[-4 - size : -4]), 0
        while table:
            kind, stored = table[0], int.from_bytes(table[1:5], "little")
            line = 41 if kind > 1 else 37
            plain = self.key.open(body[offset : offset + stored])
            if kind > 1:
                plain = zstandard.ZstdDecompressor().decompress(plain)
            name = table[line - 32 : line].hex()
            assert hashlib.sha256(plain).hexdigest() == name
            self.blobs[kind % 2, name] = plain
            table, offset = table[line:], offset + stored

    def _document(self, key: str) -> Any:
        return json.loads(
            zstandard.ZstdDecompressor().decompress(self.key.open(self.bodies[key])[1:])
        )

    def listed(self) -> set[tuple[int, str]]:
        """Blobs that the index finds in packs that are there."""
        return {
            (("data", "tree").index(blob["type"]), blob["id"])
            for key in self.bodies
            if key.startswith("r/index/")
            for pack in self._document(key)["packs"]
            if f"r/data/{pack['id'][:2]}/{pack['id']}" in self.bodies
            for blob in pack["blobs"]
        }

    def snapshots(self) -> dict[str, Files]:
        listed = self.listed()
        found: dict[str, Files] = {}
        for key in self.bodies:
            if key.startswith("r/snapshots/"):
                tree = self._document(key)["tree"]
                nodes = json.loads(self.blobs[1, tree])["nodes"]
                needed = {(1, tree)} | {(0, blob) for node in nodes for blob in node["content"]}
                assert needed <= listed
                found[key.rpartition("/")[2]] = {
                    node["name"]: b"".join(self.blobs[0, blob] for blob in node["content"])
                    for node in nodes
                }
        return found


contents = st.dictionaries(
    st.sampled_from("abc"),
    st.lists(st.integers(0, 12), max_size=8).map(
        lambda numbers: b"".join(hashlib.sha256(bytes([n])).digest() * 32 for n in numbers)
    ),
    max_size=3,
)
moments = st.none() | st.integers(0, 24)
places = st.integers(0, 1)


class Histories(RuleBasedStateMachine):
    """`moment`: the call of the store at which the process dies, None for a run that ends."""

    def __init__(self) -> None:
        super().__init__()
        self.repositories = [new_repository(), new_repository()]

    def attempt(
        self, memory: MemoryRepository, moment: int | None, act: Callable[[Repository], None]
    ) -> None:
        faulty = FaultyStore(memory.store)
        repository = memory.open(faulty)
        calls = 0

        def strike(method: str) -> None:
            nonlocal calls
            calls += 1
            if moment is not None and calls > moment:
                raise Died(method)

        faulty.strike = strike  # type: ignore[method-assign]
        try:
            act(repository)
        except Died:
            memory.store.unfinished.clear()

    @rule(place=places, files=contents, moment=moments)
    def takes_a_snapshot(self, place: int, files: Files, moment: int | None) -> None:
        memory = self.repositories[place]

        def act(repository: Repository) -> None:
            memory.kept[save(repository, files)] = files

        self.attempt(memory, moment, act)
        self.learn(memory, files)

    def learn(self, memory: MemoryRepository, files: Files) -> None:
        """A snapshot that was written just before its writer died is as good as any."""
        for name in memory.open().snapshots():
            memory.kept.setdefault(name.id, files)

    @rule(place=places, which=st.integers(0, 5))
    def forgets(self, place: int, which: int) -> None:
        memory = self.repositories[place]
        if memory.kept:
            name = sorted(memory.kept)[which % len(memory.kept)]
            memory.open().forget(name)
            del memory.kept[name]

    @rule(place=places, moment=moments)
    def prunes(self, place: int, moment: int | None) -> None:
        self.attempt(
            self.repositories[place], moment, lambda repository: void(prune(repository, void))
        )

    @rule(place=places)
    def prunes_to_the_end_twice(self, place: int) -> None:
        repository = self.repositories[place].open()
        prune(repository, void)
        assert prune(repository, void) == pruning.PruneResult(0, 0, 0)

    @rule(place=places, which=st.integers(0, 5), moment=moments)
    def copies(self, place: int, which: int, moment: int | None) -> None:
        memory, other = self.repositories[place], self.repositories[1 - place]
        if not memory.kept:
            return
        name = sorted(memory.kept)[which % len(memory.kept)]
        source = memory.open()
        snapshot = source.snapshot(name)

        def act(target: Repository) -> None:
            send(source, snapshot.tree, target, void)
            other.kept[target.keep(snapshot.as_copy())] = memory.kept[name]

        self.attempt(other, moment, act)
        self.learn(other, memory.kept[name])

    @rule(place=places)
    def lists_packs_twice(self, place: int) -> None:
        repository = self.repositories[place].open()
        for name, _ in list(repository.objects.names("index"))[:1]:
            again = seal_document(repository.key, repository.document("index", name))
            repository.objects.put("index", again)

    @invariant()
    def every_kept_snapshot_can_be_read(self) -> None:
        for memory in self.repositories:
            assert IndependentReader(memory).snapshots() == memory.kept


def void(_: object) -> None:
    """Nobody listens."""


@pytest.fixture(autouse=True)
def _small_packs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packer, "PACK_BYTES", 400)
    monkeypatch.setattr(packer, "_INDEX_BLOBS", 3)


Histories.TestCase.settings = settings(
    max_examples=100, stateful_step_count=14, deadline=None, derandomize=True
)


class TestHistories(Histories.TestCase):  # type: ignore[name-defined, misc]
    """Runs them."""


def two_snapshots() -> tuple[MemoryRepository, str]:
    memory = new_repository()
    repository = memory.open()
    files = {"a": b"".join(hashlib.sha256(bytes([n])).digest() * 32 for n in range(20))}
    memory.kept[save(repository, files)] = files
    return memory, save(repository, {"b": bytes(5000), "c": b"x" * 9000})


@pytest.mark.parametrize("moment", range(60))
def test_a_prune_that_dies_at_any_call_harms_nothing_and_is_finished_later(moment: int) -> None:
    memory, second = two_snapshots()
    memory.open().forget(second)
    history = Histories()
    history.repositories = [memory]
    history.prunes(0, moment)
    history.every_kept_snapshot_can_be_read()

    history.prunes_to_the_end_twice(0)
    history.every_kept_snapshot_can_be_read()
    assert len(IndependentReader(memory).blobs) == 21


def test_a_lost_pack_stops_the_prune_before_it_removes_anything() -> None:
    memory, second = two_snapshots()
    repository = memory.open()
    repository.forget(second)
    lost = next(
        name for name, _ in repository.objects.names("data") if name in packs_in_use(memory)
    )
    repository.objects.delete("data", lost)
    before = dict(memory.store.objects)

    with pytest.raises(ObjectMissing, match="no pack of the repository holds"):
        prune(memory.open(), void)
    assert memory.store.objects == before


def test_a_cut_pack_stops_the_prune_before_it_removes_anything() -> None:
    memory, second = two_snapshots()
    memory.open().forget(second)
    lost = next(iter(packs_in_use(memory)))
    key = memory.open().objects.key("data", lost)
    body = memory.store.objects[key][1][:-1]
    upload = memory.store.begin(key)
    upload.write(body)
    upload.commit()
    before = dict(memory.store.objects)

    with pytest.raises(SealBroken, match=lost):
        prune(memory.open(), void)
    assert memory.store.objects == before


def packs_in_use(memory: MemoryRepository) -> set[str]:
    repository = memory.open()
    pruned = {
        repository.locate(bytes.fromhex(blob), pruning.packs.BlobType.DATA).pack
        for snapshot in repository.snapshots()
        for _, node in repository.walk(snapshot.tree)
        for blob in node.content
    }
    assert pruned
    return pruned


def test_a_lost_config_does_not_cost_the_keys() -> None:
    memory, _ = two_snapshots()
    memory.store.delete("r/config")
    before = dict(memory.store.objects)

    with pytest.raises(SealBroken, match="config"):
        ensure_repository(memory.store, "r/", Secret("p"), NOW)
    assert memory.store.objects == before


@pytest.mark.parametrize("at", range(5))
def test_what_another_writer_adds_while_a_prune_looks_is_left_alone(at: int) -> None:
    """The lists: index objects on opening; packs, index objects, snapshots; index objects."""
    memory, second = two_snapshots()
    memory.open().forget(second)
    fresh = {"d": b"".join(hashlib.sha256(bytes([n])).digest() * 32 for n in range(40, 60))}

    def meanwhile() -> None:
        memory.kept[save(memory.open(), fresh)] = fresh

    faulty = FaultyStore(memory.store, list=[*[None] * at, meanwhile])
    with suppress(ObjectMissing):  # the index was read before it was written: nothing went
        prune(memory.open(faulty), void)
    assert faulty.unused() == {}
    assert IndependentReader(memory).snapshots() == memory.kept
