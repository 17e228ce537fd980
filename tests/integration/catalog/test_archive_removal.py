"""Old log goes with its snapshots, in steps that a kill or a pause anywhere does no harm to."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from sqlalchemy import update

from fixtures.in_process_archives import (
    DAYS,
    SEGMENT,
    ArchivedFiles,
    ArchivedLog,
    archived_log,
)
from fixtures.in_process_installation import InProcessInstallation
from fixtures.in_process_snapshots import audit, packs
from fixtures.timetables import DAY, HOUR
from holdfast.catalog.database.session import Catalog
from holdfast.catalog.schema import ArchiveLine, ArchivePiece, ArchiveRow, Repository
from holdfast.catalog.storage import deletions, holdings
from holdfast.contracts.archive import FILE_SPAN
from holdfast.domain.errors import Conflict
from holdfast.domain.retention.rules import Reason
from holdfast.usecases.archiving import pieces

pytestmark = pytest.mark.sqlite_first


class Killed(BaseException):
    """The process ends here."""


@pytest.fixture
def log(installation: InProcessInstallation, new_addon: Callable[[], int]) -> ArchivedLog:
    return archived_log(installation, new_addon)


@pytest.fixture
def old_log(log: ArchivedLog) -> ArchivedLog:
    """Of four days. The first two are marked, and due."""
    log.live(DAYS + 2)
    log.remover().turn()
    assert log.line().marked == 4 * SEGMENT
    log.installation.clock.at += DAY + HOUR
    return log


def test_old_log_goes_after_the_grace_and_the_window_tells(log: ArchivedLog) -> None:
    taken = log.live(DAYS + 2)
    begin = log.windows()[0].begin
    log.remover().turn()
    assert len(log.pieces()) == len(log.objects()) == 9
    log.installation.clock.at += DAY + HOUR
    with log.installation.catalog.write() as session:
        session.execute(update(Repository).values(read_marks=None))
    log.remover().turn()
    row = log.row()
    assert row.obstacle is not None
    assert row.obstacle.endswith("which has to stay, is read in whole first")
    assert len(log.pieces()) == 9
    audit(log.installation, read_within=1)
    log.installation.clock.at += HOUR
    log.remover().turn()
    assert [piece.start for piece in log.pieces()] == [n * SEGMENT for n in range(4, 9)]
    assert len(log.objects()) == 5
    [window] = log.windows()
    assert window.begin > begin
    assert window.begin <= log.now - DAYS * DAY
    assert (log.row().obstacle, log.row().sweeping) == (None, False)
    # Only the snapshot that the window begins with needs more than its own time is over.
    with log.installation.catalog.read() as session:
        judged = holdings.of_addon(session, log.addon_pk).judged(log.now)
    kept = [v.held.backup for v in judged if Reason.BEGINS_WINDOW in v.reasons]
    assert kept == [taken[2]]


def test_files_go_with_all_their_pieces(
    installation: InProcessInstallation, new_addon: Callable[[], int]
) -> None:
    log = archived_log(installation, new_addon, ArchivedFiles)
    log.live(DAYS + 2)
    assert len(log.objects()) == 2 * 9
    log.remover().turn()
    installation.clock.at += DAY + HOUR
    log.remover().turn()
    assert {piece.start // FILE_SPAN for piece in log.pieces()} == set(range(4, 9))
    assert len(log.objects()) == 2 * 5
    assert log.is_restorable()


@contextmanager
def dying_at(number: int, catalog: Catalog, store: Any) -> Iterator[list[int]]:
    """Ends the process at its `number`-th step: a deletion in the store, or a commit, before it or
    right after it. Yields what was counted."""
    steps, delete, write = [0], store.delete, catalog.write

    def step() -> None:
        steps[0] += 1
        if steps[0] == number:
            raise Killed

    def delete_or_die(key: str) -> None:
        step()
        delete(key)
        step()

    @contextmanager
    def write_or_die() -> Iterator[Any]:
        with write() as session:
            yield session
            step()
        step()

    store.delete, catalog.write = delete_or_die, write_or_die
    try:
        yield steps
    finally:
        del store.delete, catalog.write


def test_a_kill_at_any_step_loses_nothing_and_the_next_goes_on(old_log: ArchivedLog) -> None:
    installation, number, deaths = old_log.installation, 0, 0
    while True:
        number += 1
        with (
            dying_at(number, installation.catalog, installation.platform) as steps,
            suppress(Killed),
        ):
            old_log.remover().turn()
        assert old_log.is_restorable()
        if steps[0] < number:
            break
        deaths += 1
        installation.clock.at += HOUR  # when it is judged again
    assert deaths > 10
    assert old_log.pieces()[0].start == 4 * SEGMENT
    assert len(old_log.pieces()) == len(old_log.objects()) == 5


def test_a_hold_between_proof_and_decision_keeps_the_log(
    old_log: ArchivedLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    installation, remover = old_log.installation, old_log.remover()
    is_sound = remover._is_sound

    def hold_then_look(proof: Any) -> bool:
        with installation.catalog.write() as session:
            deletions.place_hold(session, "anna", "an audit", old_log.now)
        return is_sound(proof)

    monkeypatch.setattr(remover, "_is_sound", hold_then_look)
    remover.turn()
    installation.clock.at += HOUR
    old_log.remover().turn()
    assert len(old_log.objects()) == 9
    assert old_log.row().obstacle == "all deletions by age are stopped"
    with installation.catalog.write() as session:
        deletions.lift_hold(session, old_log.now + DAY)
    installation.clock.at += HOUR
    old_log.remover().turn()
    assert len(old_log.objects()) == 9
    installation.clock.at += DAY
    old_log.remover().turn()
    assert len(old_log.objects()) == 5


def test_what_is_lost_between_proof_and_decision_keeps_the_log(
    old_log: ArchivedLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process pauses for an hour after it saw the snapshot that stays."""
    installation, remover = old_log.installation, old_log.remover()
    looks: list[int] = []
    is_sound = remover._is_sound

    def sound_then_pause(proof: Any) -> bool:
        sound = is_sound(proof)
        looks.append(proof.copy_pk)
        if len(looks) == 1:
            installation.clock.at += HOUR
            for key in packs(installation):
                installation.platform.delete(key)
        return sound

    monkeypatch.setattr(remover, "_is_sound", sound_then_pause)
    remover.turn()
    assert len(looks) > 1
    assert old_log.line().removed == 0
    assert len(old_log.pieces()) == len(old_log.objects()) == 9


def test_a_late_sweeper_removes_nothing_that_came_since(
    old_log: ArchivedLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It knew what to remove, slept while others removed it and the receiver went on, and wakes."""
    installation, store = old_log.installation, old_log.installation.platform
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pieces, "sweep", lambda *_: False)
        old_log.remover().turn()
    assert old_log.line().removed == 4 * SEGMENT
    delete, awake = store.delete, []

    def sleep_first(key: str) -> None:
        if not awake:
            awake.append(key)
            monkeypatch.undo()
            old_log.remover().turn()
            old_log.write(parts=4)
        delete(key)

    monkeypatch.setattr(store, "delete", sleep_first)
    pieces.sweep(installation.toolbox, old_log.layout(), old_log.archive_pk)
    assert awake
    assert len(old_log.pieces()) == len(old_log.objects()) == 5 + 4
    assert old_log.is_restorable()


@pytest.mark.parametrize("use", ["restore", "promise"])
def test_what_is_needed_again_is_called_off(old_log: ArchivedLog, use: str) -> None:
    installation = old_log.installation
    if use == "restore":
        [window] = old_log.windows()
        backup_pk = min(installation.present(old_log.addon_pk))
        restore = installation.restore(backup_pk, old_log.addon_pk)
    else:
        with installation.catalog.write() as session:
            session.execute(update(ArchiveRow).values(days=30))
    old_log.remover().turn()
    line = old_log.line()
    assert (line.removed, line.marked, len(old_log.pieces())) == (0, None, 9)
    if use == "restore":
        assert old_log.windows() == [window]
        installation.end_restore(restore)
        installation.clock.at += HOUR
        old_log.remover().turn()
        assert old_log.line().marked == 4 * SEGMENT


def test_a_base_stays_while_log_depends_on_it(log: ArchivedLog) -> None:
    """Its own time is over on the second day. Deleting it by hand needs force."""
    installation = log.installation
    first = log.back_up()
    log.write()
    for _ in range(3):
        installation.clock.at += DAY
        log.write()
        installation.backup(log.addon_pk)
        audit(installation, read_within=1)
        installation.round(hours=2)
    assert first in installation.present(log.addon_pk)
    with pytest.raises(Conflict, match="begin with"):
        installation.delete(first)
    installation.delete(first, force=True)
    assert log.windows() == []


def test_a_lost_piece_is_a_hole_until_it_is_found(log: ArchivedLog) -> None:
    log.back_up()
    keys = [key for _ in range(4) for key in log.write()]
    [before] = log.windows()
    store = log.installation.platform
    body = b"".join(store.get(keys[2]))
    store.delete(keys[2])
    pieces.compare(log.installation.toolbox, log.layout(), log.archive_pk)
    assert [piece.lost is None for piece in log.pieces()] == [True, True, False, True]
    log.installation.put(None, keys[2], body)
    pieces.compare(log.installation.toolbox, log.layout(), log.archive_pk)
    assert log.windows() == [before]


def test_reading_finds_wrong_bytes_but_not_other_seals(log: ArchivedLog) -> None:
    [key], [other] = log.write(), log.write()
    sealed = b"".join(log.installation.platform.get(key))
    log.installation.put(None, key, sealed[:-1] + bytes([sealed[-1] ^ 1]))
    with log.installation.catalog.write() as session:
        session.execute(update(ArchivePiece).values(sha256="0" * 64))
    rows = [(log.line(), piece) for piece in log.pieces()]
    pieces.read_in_whole(log.installation.toolbox, log.layout(), rows)
    assert [piece.lost is None for piece in log.pieces()] == [False, True]
    # Being there again is not enough for one whose bytes are wrong.
    pieces.compare(log.installation.toolbox, log.layout(), log.archive_pk)
    assert log.pieces()[0].lost is not None
    assert other in log.objects()


def test_every_piece_is_read_within_the_time_and_wrong_bytes_are_found(log: ArchivedLog) -> None:
    log.back_up()
    keys = [key for _ in range(6) for key in log.write()]
    sealed = b"".join(log.installation.platform.get(keys[5]))
    log.installation.put(None, keys[5], sealed[:-1] + bytes([sealed[-1] ^ 1]))
    within = 4 * DAY  # due after two days, and half of them are read a day
    log.remover(within).turn()
    assert all(piece.read_at is None and piece.lost is None for piece in log.pieces())
    log.installation.clock.at += 2 * DAY + HOUR
    log.remover(within).turn()
    assert [piece.read_at is not None for piece in log.pieces()] == [True] * 3 + [False] * 3
    log.installation.clock.at += DAY + HOUR
    log.remover(within).turn()
    assert [piece.lost is not None for piece in log.pieces()] == [False] * 5 + [True]


def test_leftovers_go_and_what_is_being_stored_stays(log: ArchivedLog) -> None:
    """A kill after the row of a segment leaves its parts; one before a row leaves an object."""
    parts = log.write(parts=4)
    bodies = {key: b"".join(log.installation.platform.get(key)) for key in parts}
    log.store(0, SEGMENT, whole=True)
    for key in parts:
        log.installation.put(None, key, bodies[key])
    layout = log.layout()
    late = ArchivePiece(start=SEGMENT, end=SEGMENT + 8, whole=False)
    unrecorded = layout.key_of(log.line(), late)
    log.installation.put(None, unrecorded)
    pieces.compare(log.installation.toolbox, layout, log.archive_pk)
    assert log.objects() == {layout.key_of(log.line(), log.pieces()[0]), unrecorded}
    with log.installation.catalog.write() as session:
        session.execute(update(ArchiveLine).values(removed=2 * SEGMENT))
    pieces.compare(log.installation.toolbox, layout, log.archive_pk)
    assert unrecorded not in log.objects()
