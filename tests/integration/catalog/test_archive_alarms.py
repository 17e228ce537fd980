"""Archives that protect nothing are said to."""

from collections.abc import Callable

from fixtures.in_process_installation import InProcessInstallation
from holdfast.catalog.schema import ArchiveLine, ArchiveRow
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
