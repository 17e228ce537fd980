"""Physical copies that are stopped, taken of damaged pages, or spoiled on the way back."""

import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from fixtures.physical import COUNT, TakePhysical
from fixtures.postgres import Log, PostgresServer, a_guard
from holdfast.domain.errors import EvidenceMissing, Failure, Interrupted, RestoreDiffers


def test_a_stop_ends_the_copy_on_the_server_too(
    filled_postgres: PostgresServer, take_physical: TakePhysical
) -> None:
    """In the middle of the stream, and without freezing other threads while it waits."""
    guard = a_guard()
    failures: list[Failure] = []

    def take() -> None:
        try:
            take_physical(filled_postgres, rate=500, guard=guard)
        except Failure as error:
            failures.append(error)

    worker = threading.Thread(target=take)
    worker.start()
    senders = "SELECT count(*) FROM pg_stat_replication WHERE state = 'backup'"
    deadline = time.monotonic() + 30
    while filled_postgres.execute(senders) != [(1,)]:
        assert time.monotonic() < deadline
    guard.stop(Interrupted("aborted on request"))
    worker.join(10)
    assert not worker.is_alive()
    assert isinstance(failures[0], Interrupted)
    while filled_postgres.execute("SELECT count(*) FROM pg_stat_replication") != [(0,)]:
        assert time.monotonic() < deadline
    assert filled_postgres.execute("SELECT count(*) FROM pg_replication_slots") == [(0,)]


def test_damaged_pages_end_the_copy(
    filled_postgres: PostgresServer, take_physical: TakePhysical
) -> None:
    """The server tells at the very end."""
    ((path,),) = filled_postgres.execute("SELECT pg_relation_filepath('kept')")
    file = filled_postgres.place.directory / str(path)
    filled_postgres.execute("CHECKPOINT")
    whole = file.read_bytes()
    filled_postgres.engine.stop(filled_postgres.place)
    flip(file, 3 * 8192 + 4000)
    filled_postgres.start()
    try:
        with pytest.raises(EvidenceMissing, match="damaged pages"):
            take_physical(filled_postgres)
    finally:
        filled_postgres.engine.stop(filled_postgres.place)
        file.write_bytes(whole)
        filled_postgres.start()


def flip(file: Path, at: int) -> None:
    with file.open("r+b") as handle:
        handle.seek(at)
        byte = handle.read(1)[0]
        handle.seek(at)
        handle.write(bytes([byte ^ 0x10]))


def test_what_is_broken_on_the_way_back_is_found(
    filled_postgres: PostgresServer, take_physical: TakePhysical
) -> None:
    ((path,),) = filled_postgres.execute("SELECT pg_relation_filepath('kept')")
    copy = take_physical(filled_postgres)
    flip(copy.tree / "data" / str(path), 3 * 8192 + 4000)
    with pytest.raises((EvidenceMissing, RestoreDiffers), match=r"damaged|invalid page"):
        copy.rehearse()

    copy = take_physical(filled_postgres)
    for segment in (copy.tree / "data" / "pg_wal").glob("0*"):
        segment.unlink()
    with pytest.raises(RestoreDiffers, match="does not start"):
        copy.rehearse()

    copy = take_physical(filled_postgres)
    flip(copy.tree / "data" / "global" / "pg_control", 40)
    with pytest.raises(Failure):
        copy.rehearse()
    assert filled_postgres.execute(COUNT)


def test_a_rehearsal_that_is_stopped_leaves_no_server(
    filled_postgres: PostgresServer, take_physical: TakePhysical
) -> None:
    copy = take_physical(filled_postgres)
    guard = a_guard()
    copy.arrange()
    threading.Timer(0.15, guard.stop, [Interrupted("aborted on request")]).start()
    with pytest.raises(Interrupted):
        copy.rehearse(guard)
    assert (
        copy.origin.engine.running(replace(filled_postgres.place, directory=copy.tree / "data"))
        is None
    )
    assert Log().lines == []
