"""Archives that protect nothing are said to, and what they can recover counts."""

from collections.abc import Callable

import pytest
from sqlalchemy import update

from fixtures.in_process_archives import SEGMENT, ArchivedLog, archived_log
from fixtures.in_process_installation import InProcessInstallation
from holdfast.catalog import protected_rows, protection
from holdfast.catalog.archiving import archives
from holdfast.catalog.schema import ArchiveLine, ArchiveRow, ProtectionRow
from holdfast.daemons.protection import ProtectionCheck
from holdfast.domain.alarms.rules import Kind
from holdfast.domain.archive.archiving import Archiving
from holdfast.domain.protection import Objective, State, judge
from holdfast.domain.units import HOUR_MS, MINUTE_MS
from holdfast.usecases.alarms.evaluation import addon_symptoms
from holdfast.usecases.archiving import pieces

pytestmark = pytest.mark.sqlite_first


@pytest.fixture
def log(installation: InProcessInstallation, new_addon: Callable[[], int]) -> ArchivedLog:
    return archived_log(installation, new_addon)


def archiving_of(log: ArchivedLog) -> Archiving:
    """Also proves that the row is what is derived from nothing."""
    with log.installation.catalog.read() as session:
        assert protection.differences(session, [log.addon_pk]) == {}
        archiving = protected_rows.row_of(session, log.addon_pk).facts.archiving
    assert archiving is not None
    return archiving


def reasons(log: ArchivedLog, **columns: int | str | None) -> list[str]:
    """Of alarms about the archive, when its row says so besides."""
    with log.installation.catalog.write() as session:
        session.execute(update(ArchiveRow).values({"checked": log.now, **columns}))
    with log.installation.catalog.read() as session:
        symptoms = list(addon_symptoms(session, log.now))
    return [symptom.reason for symptom in symptoms if symptom.kind is Kind.ARCHIVE_LATE]


def test_a_log_that_is_not_stored_in_time_is_an_alarm(log: ArchivedLog) -> None:
    assert reasons(log, checked=log.now - 4 * MINUTE_MS) == []
    old = log.now - 2 * HOUR_MS
    with log.installation.catalog.write() as session:
        session.execute(update(ArchiveRow).values(since=old))
    (late,) = reasons(log, checked=log.now - HOUR_MS, reason="the server hung up")
    assert late.startswith("its log was stored completely last at ")
    assert late.endswith(" UTC: the server hung up")


def test_a_line_without_a_snapshot_is_an_alarm(log: ArchivedLog) -> None:
    log.write()
    log.installation.clock.at += 2 * HOUR_MS
    log.write()
    (alone,) = reasons(log)
    assert "no good snapshot has been taken" in alone


def test_a_line_that_its_parents_snapshot_leads_to_is_none(log: ArchivedLog) -> None:
    log.back_up()
    log.write()
    parent_pk, forked = log.line_pk, log.end
    with log.installation.catalog.write() as session:
        archives.end_lines(session, log.archive_pk, "", log.now)
        child = ArchiveLine(
            archive_pk=log.archive_pk, root="r", name="00000002", forked=forked, needs=forked,
            source="1", segment=SEGMENT, parent_pk=parent_pk, since=log.now,
        )  # fmt: skip
        session.add(child)
        session.flush()
        log.line_pk, log.line_name = child.pk, child.name
    log.installation.clock.at += 2 * HOUR_MS
    (unproven,) = reasons(log)
    assert "began anew" in unproven
    log.write()
    assert reasons(log) == []
    archiving = archiving_of(log)
    assert (archiving.window_end, archiving.gaps) == (log.now, 1)


def test_little_room_at_the_server_is_an_alarm(log: ArchivedLog) -> None:
    little = "the server removes log that is not stored yet after 100.0 MiB more"
    assert reasons(log, slack=100 << 20, slack_limit=1 << 30) == [little]
    assert reasons(log, slack=1 << 29, slack_limit=1 << 30) == []


def test_a_lost_part_is_an_alarm_until_a_snapshot_follows(log: ArchivedLog) -> None:
    log.back_up()
    (key,) = log.write()
    log.installation.clock.at += HOUR_MS
    layout = log.layout()
    layout.store.delete(key)
    pieces.compare(log.installation.toolbox, layout, log.archive_pk)
    log.installation.clock.at += 2 * HOUR_MS
    (lost,) = reasons(log)
    assert "its log lost a part" in lost
    log.back_up()
    log.write()
    assert reasons(log) == []
    assert archiving_of(log).window_begin == log.now


def test_the_window_counts_as_the_newest_recovery_point(log: ArchivedLog) -> None:
    """It goes on with the head of its line, without a write into the row of protection."""
    taken = log.now
    log.back_up()
    log.write()
    assert archiving_of(log).window_begin == taken
    log.installation.clock.at += 30 * 24 * HOUR_MS
    log.write()
    assert (archiving_of(log).window_begin, archiving_of(log).window_end) == (taken, log.now)
    with log.installation.catalog.read() as session:
        facts = protected_rows.row_of(session, log.addon_pk).facts
    objective = Objective(max_age_ms=MINUTE_MS, proof_ms=60 * 24 * HOUR_MS)
    assert judge(facts, objective, log.now).state is State.AT_RISK  # nothing says it was checked
    assert reasons(log) == []
    with log.installation.catalog.read() as session:
        facts = protected_rows.row_of(session, log.addon_pk).facts
    assert judge(facts, objective, log.now).state is State.PROTECTED
    (old,) = judge(facts, objective, log.now + 2 * MINUTE_MS).reasons
    assert old.sentence == "nothing of the last 2 min can be recovered; objective 60 s"


def test_bytes_are_those_of_the_stored_pieces(log: ArchivedLog) -> None:
    def stored() -> int:
        return sum(piece.stored for piece in log.pieces())

    log.write(parts=4)
    assert archiving_of(log).stored == stored()
    log.store(0, SEGMENT, whole=True)
    assert archiving_of(log).stored == stored()
    log.end = SEGMENT
    log.live(4)
    log.remover().turn()
    log.installation.clock.at += 25 * HOUR_MS
    before = len(log.pieces())
    log.remover().turn()
    assert len(log.pieces()) < before
    assert archiving_of(log).stored == stored()


def test_an_archive_of_before_these_columns_is_no_fault(log: ArchivedLog) -> None:
    log.back_up()
    log.write()
    with log.installation.catalog.write() as session:
        session.execute(update(ProtectionRow).values(gaps=None, window_line=None))
    ProtectionCheck(log.installation.toolbox).check()
    assert archiving_of(log).window_end == log.now


def test_a_log_that_is_archived_no_more_keeps_its_window(log: ArchivedLog) -> None:
    log.back_up()
    log.write()
    with log.installation.catalog.write() as session:
        session.get_one(ArchiveRow, log.archive_pk).wanted = False
        archives.end_lines(session, log.archive_pk, "archiving was switched off", log.now)
    end = log.now
    log.installation.clock.at += HOUR_MS
    assert archiving_of(log).window_end == end
    assert reasons(log) == []
