"""Sealing, packs, the index, and how files are cut."""

import hashlib
import json
import os
import sys
from pathlib import Path

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from fakes.stores import FaultyStore
from holdfast.domain.errors import NotSupported, ObjectMissing, SealBroken, StoreUnavailable
from holdfast.kit.seal import Secret
from holdfast.repositories.restic.format import crypto, index, keys, pack, tree
from holdfast.repositories.restic.format.objects import Objects, seal_document
from holdfast.repositories.restic.format.pack import BlobType, Entry
from holdfast.repositories.restic.format.tree import Node
from holdfast.repositories.restic.locks import HOST, LockOwner, drop_dead_locks, exclusively, shared
from holdfast.repositories.restic.read import materialise as materialising
from holdfast.repositories.restic.read.materialise import materialise
from holdfast.repositories.restic.repository import Repository
from holdfast.repositories.restic.write.writing import SnapshotWriter
from holdfast.stores.memory.driver import MemoryStore
from holdfast.stores.memory.options import Options

NOW = 1_790_000_000_000_000_000
KEY = crypto.new_key()
BODY = b"".join(hashlib.sha256(bytes([n])).digest() * 32 for n in range(20))
entries = st.builds(
    Entry,
    st.binary(min_size=32, max_size=32),
    st.sampled_from(BlobType),
    st.just(0),
    st.integers(32, 1 << 31),
    st.integers(0, 1 << 31),
)


def new_repository() -> Repository:
    return Repository(Objects(MemoryStore(Options()), "r/"), KEY)


@given(st.binary(max_size=200), st.data())
def test_every_changed_byte_of_a_sealed_object_is_seen(plain: bytes, data: st.DataObject) -> None:
    sealed = bytearray(KEY.seal(plain))
    assert KEY.open(sealed) == plain
    sealed[data.draw(st.integers(0, len(sealed) - 1))] ^= 1 << data.draw(st.integers(0, 7))

    with pytest.raises(SealBroken):
        KEY.open(sealed)


@pytest.mark.parametrize("size", [0, 31, 40])
def test_a_cut_object_is_seen(size: int) -> None:
    with pytest.raises(SealBroken):
        KEY.open(KEY.seal(b"some words")[:size])


def test_a_key_file_opens_with_its_password_only() -> None:
    body = keys.key_file(KEY, Secret("right"), "owner", "2026-01-01T00:00:00Z")

    assert keys.opened(body, Secret("right")) == KEY
    assert keys.owner(body) == "owner"
    with pytest.raises(SealBroken):
        keys.opened(body, Secret("wrong"))
    with pytest.raises(SealBroken):
        keys.opened(b"{}", Secret("right"))


@given(st.lists(entries, max_size=20))
def test_a_pack_header_comes_back(given_entries: list[Entry]) -> None:
    laid, offset = list[Entry](), 0
    for entry in given_entries:
        laid.append(Entry(entry.id, entry.type, offset, entry.stored, entry.plain))
        offset += entry.stored
    written = pack.header(laid, KEY)

    assert pack.header_size(written[-4:]) == len(written) - 4
    assert pack.parse(written[:-4], KEY) == laid
    assert pack.size(laid) == offset + len(written)
    document = json.loads(json.dumps(index.document({"p": laid})))
    assert list(index.parse(document)) == [("p", laid)]


def test_an_index_of_old_tools_is_understood() -> None:
    blob = {"id": "ab" * 32, "type": "data", "offset": 3, "length": 40}
    old = {"supersedes": ["cd" * 32], "packs": [{"id": "p", "blobs": [blob]}]}

    ((_, (entry,)),) = index.parse(old)
    assert (entry.plain, entry.size) == (0, 8)
    assert list(index.parse({"packs": None})) == []


def test_the_index_grows_and_finds_everything() -> None:
    names = [hashlib.sha256(number.to_bytes(4, "little")).digest() for number in range(200_000)]
    known = index.Index()
    for at in range(0, len(names), 1000):
        part = enumerate(names[at : at + 1000])
        known.add(f"p{at}", [Entry(name, BlobType.DATA, 9 * n, 9, n) for n, name in part])

    assert len(known) == len(names)
    for at in range(0, len(names), 97):
        place = known.find(names[at], BlobType.DATA)
        assert place is not None
        assert (place.pack, place.entry.offset) == (f"p{at - at % 1000}", 9 * (at % 1000))
    assert known.find(bytes(32), BlobType.DATA) is None
    assert known.find(names[0], BlobType.TREE) is None
    held = sum(sys.getsizeof(table) for table in vars(known).values())
    assert held / len(names) < 80


def test_a_blob_keeps_its_first_place() -> None:
    known, blob = index.Index(), bytes(range(32))
    known.add("first", [Entry(blob, BlobType.DATA, 0, 40, 0)])
    known.add(
        "second", [Entry(blob, BlobType.DATA, 7, 40, 0), Entry(blob, BlobType.TREE, 9, 40, 0)]
    )

    assert [(place.pack, place.entry.offset) for place in known.locations()] == [
        ("first", 0),
        ("second", 9),
    ]


@given(st.binary(max_size=3000), st.lists(st.integers(0, 700), max_size=12))
def test_any_portions_give_the_same_blocks(body: bytes, cuts: list[int]) -> None:
    repository = new_repository()
    writer = SnapshotWriter(repository, 512)
    file, rest = writer.file(b"f", 0o600, NOW), body
    for cut in cuts:
        file.write(rest[:cut])
        rest = rest[cut:]
    file.write(rest)
    file.close()

    blocks = [body[at : at + 512] for at in range(0, len(body), 512)]
    (node,) = repository.nodes(writer.flush())
    assert list(node.content) == [hashlib.sha256(block).hexdigest() for block in blocks]
    assert node.size == len(body)


def test_what_is_there_is_not_stored_again() -> None:
    repository = new_repository()

    def save(body: bytes) -> SnapshotWriter:
        writer = SnapshotWriter(repository, 1024)
        for name in (b"a", b"b"):
            file = writer.file(name, 0o600, NOW)
            file.write(body)
            file.close()
        writer.flush()
        return writer

    assert save(bytes(10_240)).packer.new == 2  # one block, one directory
    assert save(bytes(10_240)).packer.new == 0
    repository.reload()
    assert save(bytes(10_240)).packer.packs == []


def test_a_block_that_several_threads_meet_at_once_is_stored_once() -> None:
    writer = SnapshotWriter(new_repository())
    file = writer.file(b"zeros", 0o600, NOW)
    for _ in range(64):
        file.write(bytes(256 << 10))
    file.close()
    writer.flush()

    assert writer.size == 16 << 20
    assert writer.packer.new == 2  # one block, one directory


@pytest.mark.parametrize("name", ["..", ".", "", "a/b", "a\\x00b"])
def test_a_name_that_leads_elsewhere_is_refused(name: str) -> None:
    with pytest.raises(SealBroken, match="name"):
        tree.parse({"nodes": [{"name": name, "type": "file"}]})


def test_nodes_without_fields_are_understood() -> None:
    nodes = tree.parse({"nodes": [{"name": "a", "type": "file", "content": None}]})

    assert nodes == [Node(b"a", 0o100000, 0)]
    assert tree.parse({"nodes": None}) == []
    (device,) = tree.parse({"nodes": [{"name": "sda", "type": "dev", "device": 3}]})
    assert (device.other, device.is_file, device.is_directory) == ("dev", False, False)


def test_a_link_to_bytes_that_are_no_text_comes_back() -> None:
    node = Node(b"l", 0o120777, NOW, target=b"to \xff\xe2\x82")

    assert tree.parse(json.loads(tree.dumps([node]))) == [node]


def stored(repository: Repository) -> str:
    writer = SnapshotWriter(repository, 1024)
    file = writer.file(b"f", 0o600, NOW)
    file.write(BODY)
    file.close()
    return writer.flush()


def spoil(repository: Repository, *, flip: bool) -> None:
    """Loses, or flips one bit in, the pack of file blocks."""
    store = repository.objects.store
    (name,) = {p.pack for p in repository.index.locations() if p.entry.type == BlobType.DATA}
    key = repository.objects.key("data", name)
    body = bytearray(b"".join(store.get(key)))
    body[100] ^= 4
    store.delete(key)
    if flip:
        upload = store.begin(key)
        upload.write(body)
        upload.commit()


@pytest.mark.parametrize(("flip", "error"), [(True, SealBroken), (False, ObjectMissing)])
def test_damage_is_named_and_nothing_wrong_is_written(
    tmp_path: Path, flip: bool, error: type[Exception]
) -> None:
    repository = new_repository()
    snapshot = stored(repository)
    spoil(repository, flip=flip)

    with pytest.raises(error):
        materialise(repository, snapshot, tmp_path, lambda _: None)
    written = tmp_path / "f"
    assert not written.exists() or BODY.startswith(written.read_bytes())


def test_a_full_disk_is_not_taken_for_a_whole_file() -> None:
    with Path("/dev/full").open("r+b", buffering=0) as full, pytest.raises(OSError, match="space"):
        materialising.write_all(full, [b"x" * 5000])


def test_a_part_written_is_completed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def takes_a_part(handle: int, blocks: list[bytes]) -> int:
        return os.write(handle, b"".join(blocks)[:7])

    monkeypatch.setattr(os, "writev", takes_a_part)
    with (tmp_path / "f").open("wb", buffering=0) as file:
        assert materialising.write_all(file, [b"12345", b"67890", b"abc"]) == 13
    assert (tmp_path / "f").read_bytes() == b"1234567890abc"


def test_a_batch_is_unpacked_as_its_blobs_are_and_damage_is_named() -> None:
    plains = [b"a" * 5000, b"as it is", b"", b"b" * 70_000]
    packed = zstandard.ZstdCompressor().compress
    blobs = [packed(plain) if len(plain) > 100 else plain for plain in plains]
    entries = [
        Entry(bytes([number]) * 32, BlobType.DATA, 0, 0, len(plain) if len(plain) > 100 else 0)
        for number, plain in enumerate(plains)
    ]

    assert pack.unpacked_batch(blobs, entries) == plains
    blobs[3] = blobs[3][:-3]
    with pytest.raises(SealBroken, match="blob 0303"):
        pack.unpacked_batch(blobs, entries)


@pytest.mark.parametrize("method", ["begin", "write", "commit"])
def test_an_upload_that_fails_surfaces_and_the_next_run_succeeds(method: str) -> None:
    store = MemoryStore(Options())
    faulty = FaultyStore(store, **{method: [StoreUnavailable()]})

    with pytest.raises(StoreUnavailable):
        stored(Repository(Objects(faulty, "r/"), KEY))
    assert store.objects == {}
    assert not store.unfinished
    stored(Repository(Objects(store, "r/"), KEY))


def foreign_lock(
    repository: Repository, *, exclusive: bool, host: str = "laptop", user: str = "ada"
) -> str:
    """As old as `NOW`."""
    lock = {
        "time": "2026-09-21T14:13:20Z",
        "exclusive": exclusive,
        "hostname": host,
        "username": user,
        "pid": 7,
    }
    return repository.objects.put("locks", seal_document(KEY, lock))


@pytest.mark.parametrize(
    ("take", "theirs", "refused"),
    [
        (shared, False, False),
        (shared, True, True),
        (exclusively, False, True),
        (exclusively, True, True),
    ],
)
@pytest.mark.parametrize("age_minutes", [1, 31])
def test_living_locks_of_others_are_respected(
    take: type, theirs: bool, refused: bool, age_minutes: int
) -> None:
    repository = new_repository()
    name = foreign_lock(repository, exclusive=theirs)
    stale = age_minutes > 30
    now = NOW + age_minutes * 60 * 1_000_000_000
    names = lambda: [name for name, _ in repository.objects.names("locks")]  # noqa: E731

    if refused and not stale:
        with pytest.raises(StoreUnavailable, match="laptop"), take(repository, now):
            raise AssertionError
    else:
        with take(repository, now):
            assert len(names()) == (1 if stale else 2)
    assert names() == ([] if stale else [name])


def test_dead_locks_of_ours_are_removed_and_a_long_held_one_stays_young() -> None:
    repository = new_repository()
    dead = foreign_lock(repository, exclusive=True, host=HOST, user="op.1")

    with shared(repository, NOW, LockOwner("op", 2), refresh=0.001):
        (first,) = (name for name, _ in repository.objects.names("locks"))
        assert first != dead
        while (
            len(names := {n for n, _ in repository.objects.names("locks")}) != 1 or first in names
        ):
            pass
    assert list(repository.objects.names("locks")) == []


@pytest.mark.parametrize("user", ["op.3", "other.1", "holdfast"])
@pytest.mark.parametrize("age_minutes", [1, 31])
def test_locks_of_ours_that_may_be_a_living_workers_stay_and_are_in_nobodys_way(
    user: str, age_minutes: int
) -> None:
    repository = new_repository()
    living = foreign_lock(repository, exclusive=True, host=HOST, user=user)
    drop_dead_locks(repository, LockOwner("op", 2))
    with exclusively(repository, NOW + age_minutes * 60 * 1_000_000_000, LockOwner("op", 2)):
        names = [name for name, _ in repository.objects.names("locks")]
        assert (living in names) is (age_minutes < 30)


def test_a_fifo_is_refused_by_name(tmp_path: Path) -> None:
    repository = new_repository()
    writer = SnapshotWriter(repository)
    body = b'{"nodes":[{"name":"pipe","type":"fifo","mode":33554816}]}\n'
    writer.packer.save(BlobType.TREE, body, lambda _: None)
    writer.flush()

    with pytest.raises(NotSupported, match="pipe is a fifo"):
        materialise(repository, hashlib.sha256(body).hexdigest(), tmp_path, lambda _: None)
