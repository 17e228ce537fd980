"""What removes garbage may be paused before the last removal: what came since does not need it."""

import threading
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import select, update

from fixtures.in_process_installation import InProcessInstallation
from fixtures.in_process_snapshots import take
from fixtures.stepped_installation import Pause, SteppedInstallation
from fixtures.timetables import DAY
from holdfast.bootstrap import PLANS
from holdfast.bootstrap.policy import policy_of
from holdfast.catalog import imports
from holdfast.catalog.schema import Operation, Repository, Upload
from holdfast.daemons.janitor import Janitor
from holdfast.domain.errors import FencedOff
from holdfast.jobs.core.leftovers import remover
from holdfast.kit.seal import Secret
from holdfast.repositories.restic.format.objects import Objects
from holdfast.repositories.restic.format.snapshot import Snapshot
from holdfast.repositories.restic.read.reading import Totals, prove
from holdfast.repositories.restic.repository import Repository as Open
from holdfast.repositories.restic.repository import ensure_repository, open_repository
from holdfast.repositories.restic.upkeep.pruning import DoomedPacks, prune
from holdfast.repositories.restic.write.cutting import FixedCutter
from holdfast.repositories.restic.write.writing import SnapshotWriter
from holdfast.stores.memory.driver import MemoryStore
from holdfast.stores.memory.options import Options
from holdfast.usecases.imports import retire_upload
from holdfast.usecases.store_check import repository_check

PASSWORD = Secret("a password")
NOW = 1_790_000_000_000_000_000


class Clock:
    def now(self) -> int:
        return NOW // 1_000_000


def keep(repository: Open, *bodies: bytes) -> tuple[str, str]:
    """A snapshot of files with these bodies; its id and its tree."""
    writer = SnapshotWriter(repository)
    for number, body in enumerate(bodies):
        file = writer.file(f"data/{number}".encode(), 0o600, 1, FixedCutter(1 << 20))
        file.write(body)
        file.close()
    tree = writer.flush()
    return repository.keep(Snapshot(NOW, tree, "h", ["/x"], [])), tree


@dataclass
class Tidying:
    """A repository with garbage in it: blocks that the snapshots to come need again."""

    store: MemoryStore
    doomed: list[str]

    def open(self) -> Open:
        return open_repository(self.store, "r/", PASSWORD)

    def note(self, packs: Any) -> None:
        self.doomed[:] = packs


@pytest.fixture
def tidying() -> Tidying:
    store = MemoryStore(Options(), Clock())  # pyright: ignore[reportArgumentType]
    repository = ensure_repository(store, "r/", PASSWORD, NOW)
    keep(repository, b"stays" * 1000)
    gone, _ = keep(repository, b"goes and comes back" * 1000)
    repository.forget(gone)
    return Tidying(store, [])


def test_packs_that_are_going_are_not_relied_on(
    tidying: Tidying, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first tidying is paused when it has noted what goes. Nothing of it is done, and the next
    snapshot has the same blocks again."""
    pause = Pause()
    monkeypatch.setattr(Objects, "delete", pause.before(Objects.delete))
    first = tidying.open()
    work = threading.Thread(
        target=lambda: prune(first, lambda _: None, before=DoomedPacks((), tidying.note))
    )
    work.start()
    pause.await_it()
    assert tidying.doomed
    writer = tidying.open()
    writer.ignore_packs(tidying.doomed)
    _, tree = keep(writer, b"goes and comes back" * 1000)
    pause.end(work)
    assert prove(tidying.open(), tree) == Totals(1, 19_000)


def test_a_tidying_that_lost_its_lease_removes_nothing(tidying: Tidying) -> None:
    """Others wrote a snapshot between its look and its note."""
    before = sorted(stat.key for stat in tidying.store.list("r/"))

    def lost(packs: Any) -> None:
        raise FencedOff

    with pytest.raises(FencedOff):
        prune(tidying.open(), lambda _: None, before=DoomedPacks((), lost))
    assert sorted(stat.key for stat in tidying.store.list("r/")) == before


@pytest.mark.parametrize("done", range(6))
def test_the_next_tidying_relies_on_nothing_that_the_first_may_still_remove(
    tidying: Tidying, done: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first one is paused after so many removals; its successor finishes; then it goes on."""
    pause, real, left = Pause(), Objects.delete, [done]

    def delete(objects: Objects, kind: str, name: str) -> None:
        if left[0] > 0:
            left[0] -= 1
            return real(objects, kind, name)
        return pause.before(real)(objects, kind, name)

    repository = tidying.open()
    kept = [each.tree for each in repository.snapshots()]
    with monkeypatch.context() as patched:
        patched.setattr(Objects, "delete", delete)
        first = tidying.open()
        work = threading.Thread(
            target=lambda: prune(first, lambda _: None, before=DoomedPacks((), tidying.note))
        )
        work.start()
        while work.is_alive() and not pause.reached.wait(0.01):
            pass
        prune(
            tidying.open(), lambda _: None, before=DoomedPacks(list(tidying.doomed), tidying.note)
        )
        writer = tidying.open()
        writer.ignore_packs(tidying.doomed)
        kept.append(keep(writer, b"goes and comes back" * 1000)[1])
        pause.end(work)
    for tree in kept:
        prove(tidying.open(), tree)


def test_two_that_make_a_repository_make_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first one looked when there was none; it goes on when the second has written into it."""
    store, pause = MemoryStore(Options(), Clock()), Pause()  # pyright: ignore[reportArgumentType]
    with monkeypatch.context() as patched:
        patched.setattr(Objects, "put", pause.before(Objects.put))
        work = threading.Thread(target=lambda: ensure_repository(store, "r/", PASSWORD, NOW))
        work.start()
        pause.await_it()
        _, tree = keep(ensure_repository(store, "r/", PASSWORD, NOW), b"body" * 100)
        pause.end(work)
    for _ in range(2):
        assert prove(open_repository(store, "r/", PASSWORD), tree) == Totals(1, 400)
        _, tree = keep(ensure_repository(store, "r/", PASSWORD, NOW), b"body" * 100)


@pytest.mark.parametrize("busy", [True, False])
def test_an_unfinished_upload_of_a_living_worker_stays_however_old_a_clock_says_it_is(
    installation: InProcessInstallation, addon_pk: int, busy: bool
) -> None:
    take(installation, addon_pk)
    (row,) = installation.rows(select(Repository))
    upload = installation.stores[None].begin(f"{row.prefix}data/ab/ab12")
    upload.write(b"half of it")
    if busy:
        with installation.catalog.write() as session:
            session.execute(update(Operation).values(slot=1))
    repository_check.drop_unfinished(
        installation.toolbox, installation.stores[None], row, installation.clock.at + 3650 * DAY
    )
    there = list(installation.stores[None].list(row.prefix, unfinished=True))
    assert len(there) == (1 if busy else 0)


def test_an_upload_that_is_going_is_none_any_more(
    stepped_installation: SteppedInstallation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The janitor is paused between its decision and the removal of the objects."""
    path = "/projects/shop/addons/orders/uploads"
    upload = stepped_installation.post(path, {"size": 6})["id"]
    sent = {"content": b"abc", "params": {"offset": 0}}
    put = f"/v1{path}/{upload}/content"
    assert stepped_installation.api.put(put, **sent).status_code == 200
    with stepped_installation.parts.catalog.write() as session:
        session.execute(update(Upload).values(touched=Upload.touched - 2 * DAY))
    tools, policy = (
        stepped_installation.parts.toolbox,
        policy_of(stepped_installation.parts.settings),
    )
    pause, store = Pause(), stepped_installation.parts.store(None)
    monkeypatch.setattr(store, "clear", pause.before(store.clear))
    work = threading.Thread(target=Janitor(tools, remover(tools, PLANS), policy).round)
    work.start()
    pause.await_it()
    sent = {"content": b"def", "params": {"offset": 3}}
    assert stepped_installation.api.put(put, **sent).status_code == 404
    pause.end(work)
    assert list(store.list("uploads/")) == []


def test_an_upload_that_grew_meanwhile_stays(stepped_installation: SteppedInstallation) -> None:
    path = "/projects/shop/addons/orders/uploads"
    stepped_installation.post(path, {"size": 6})
    with stepped_installation.parts.catalog.write() as session:
        (row,) = imports.all_uploads(session)
        assert retire_upload(session, row.pk, row.touched) is None
        assert retire_upload(session, row.pk, row.touched + 1) is not None
