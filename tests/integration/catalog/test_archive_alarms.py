"""Archives that protect nothing are said to."""

from collections.abc import Callable

from sqlalchemy import update

from fixtures.in_process_archives import archived_log
from fixtures.in_process_installation import InProcessInstallation
from holdfast.catalog.schema import ArchiveLine, ArchivePiece, ArchiveRow
from holdfast.domain.units import HOUR_MS
from holdfast.usecases.alarms.evaluation import archive_symptoms


def test_a_line_without_a_snapshot_is_an_alarm(
    installation: InProcessInstallation, new_addon: Callable[[], int]
) -> None:
    """One that forked from another may be reached by its parent's."""
    pk, now = new_addon(), installation.toolbox.clock.now()
    settings = {"wanted": True, "days": 7, "interval_s": 10, "unbounded": False, "slot": "s"}
    with installation.catalog.write() as session:
        archive = ArchiveRow(
            addon_pk=pk,
            recipient="age1",
            sealed_identity="sealed",
            fence=1,
            state="streaming",
            checked=now,
            since=now - 3 * HOUR_MS,
            created=now - 3 * HOUR_MS,
            **settings,
        )
        session.add(archive)
        session.flush()
        line = ArchiveLine(
            archive_pk=archive.pk,
            root="r",
            name="00000001",
            forked=0,
            needs=0,
            source="1",
            segment=1 << 24,
            since=now - 2 * HOUR_MS,
        )
        session.add(line)
        session.flush()
        line_pk = line.pk
    with installation.catalog.read() as session:
        (symptom,) = archive_symptoms(session, now)
    assert "no good snapshot has been taken" in symptom.reason
    with installation.catalog.write() as session:
        session.get_one(ArchiveLine, line_pk).parent_pk = line_pk
    with installation.catalog.read() as session:
        assert list(archive_symptoms(session, now)) == []
        (late,) = archive_symptoms(session, now + HOUR_MS)
    assert "was stored completely last" in late.reason


def test_little_room_at_the_server_is_an_alarm(
    installation: InProcessInstallation, new_addon: Callable[[], int]
) -> None:
    log = archived_log(installation, new_addon)

    def reasons(slack: int) -> list[str]:
        with installation.catalog.write() as session:
            values = {"checked": log.now, "slack": slack, "slack_limit": 1 << 30}
            session.execute(update(ArchiveRow).values(**values))
        with installation.catalog.read() as session:
            return [symptom.reason for symptom in archive_symptoms(session, log.now)]

    little = "the server removes log that is not stored yet after 100.0 MiB more"
    assert reasons(100 << 20) == [little]
    assert reasons(1 << 29) == []


def test_a_lost_part_is_an_alarm_until_a_snapshot_follows(
    installation: InProcessInstallation, new_addon: Callable[[], int]
) -> None:
    log = archived_log(installation, new_addon)
    log.back_up()
    log.write()
    installation.clock.at += HOUR_MS
    with installation.catalog.write() as session:
        session.execute(update(ArchivePiece).values(lost=log.now))
    installation.clock.at += 2 * HOUR_MS
    with installation.catalog.write() as session:
        session.execute(update(ArchiveRow).values(checked=log.now))
    with installation.catalog.read() as session:
        (symptom,) = archive_symptoms(session, log.now)
    assert "its log lost a part" in symptom.reason
    log.back_up()
    with installation.catalog.read() as session:
        assert list(archive_symptoms(session, log.now)) == []
