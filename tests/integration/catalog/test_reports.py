"""Signed reports on both catalogues: what they say, and that a change of any byte shows."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, select, text, update
from sqlalchemy.exc import DatabaseError

from fixtures.in_process_installation import InProcessInstallation as Installation
from fixtures.reports import Reporting
from fixtures.timetables import DAY, HOUR
from holdfast.catalog.schema import (
    Addon,
    AuditEntry,
    Backup,
    Copy,
    Deletion,
    Drill,
    Occurrence,
    Operation,
    Project,
    Report,
    Restore,
    Schedule,
)
from holdfast.cli.proof.verification import Verdict, read_key, verify
from holdfast.domain.operation import Status
from holdfast.kit import ids
from holdfast.kit.sign import PrivateKey
from holdfast.usecases.proof import page
from holdfast.usecases.proof import reports as verbs

SCRIPT = "Orders <script>alert('x')</script> & co"


@pytest.fixture
def reporting(installation: Installation, tmp_path: Path) -> Reporting:
    """Reports about the 30 days from the start, made a day later, with a directory for files."""
    directory = tmp_path / "reports"
    directory.mkdir()
    start = installation.clock.at
    return Reporting(installation.catalog, directory, start, start + 30 * DAY, start + 31 * DAY)


@pytest.fixture
def lived_in(installation: Installation, addon_pk: int) -> int:
    """An addon with a month behind it: backups good and failed, a drill, a restore, a deletion."""
    start = installation.clock.at
    installation.clock.at = start + DAY
    good = installation.backup(addon_pk)
    installation.clock.at = start + 2 * DAY
    failed = installation.backup(addon_pk, Status.FAILED)
    installation.clock.at = start
    with installation.catalog.write() as session:
        session.execute(update(Addon).where(Addon.pk == addon_pk).values(name=SCRIPT))
        session.execute(update(Backup).where(Backup.pk == failed).values(reason="<b>disk</b> full"))
        copy_pk = session.scalar(select(Copy.pk).where(Copy.backup_pk == good))
        schedule = Schedule(
            id=ids.hex24(), addon_pk=addon_pk, type="dump", compression="gz", additional=[],
            interval="daily", minute=[0], hour=[3], day=[], retention=7,
            next_due=start + 40 * DAY, created=start, updated=start,
        )  # fmt: skip
        operation = Operation(
            id=ids.hex24(), addon_pk=addon_pk, kind="restore", lane="any", priority=1,
            status=Status.COMPLETED, slot=None, fence=1, attempt=1, arguments={}, record={},
            created=start + 3 * DAY, started=start + 3 * DAY, ended=start + 3 * DAY + 90_000,
        )  # fmt: skip
        restore = Restore(
            id=ids.hex24(), backup_pk=good, addon_pk=addon_pk, status=Status.COMPLETED,
            operation=operation.id, created=start + 3 * DAY, completed=start + 3 * DAY + 90_000,
        )  # fmt: skip
        drill = Drill(
            id=ids.hex24(), addon_pk=addon_pk, backup_pk=good, cause="plan",
            status=Status.COMPLETED, operation=ids.hex24(), verdict="failed",
            findings=[{"name": "rows", "verdict": "failed", "found": "half of them"}],
            times={"restore": 12_300}, version="15.1", size=100, keep_minutes=0, opinions=[],
            created=start + 4 * DAY, completed=start + 4 * DAY + 20_000,
        )  # fmt: skip
        deletion = Deletion(
            copy_pk=copy_pk, prefix="x", reason="it is older than 7 days",
            created=start + 9 * DAY, due=start + 10 * DAY, done=start + 10 * DAY,
        )  # fmt: skip
        change = AuditEntry(
            at=start + DAY, request="r", address="192.0.2.1", token="t", actor="deploy",
            role="admin", action="patch_backup", kind="backup", object="<i>b</i>",
            project="p", addon="a", before={"name": "x"}, after={"name": "half \ud83d of it"},
        )  # fmt: skip
        session.add_all([schedule, operation, restore, drill, deletion, change])
        session.flush()
        session.add_all(
            Occurrence(
                schedule_pk=schedule.pk,
                instant=start + days * DAY,
                since=start + days * DAY,
                count=count,
                outcome=outcome,
                reason="no scheduler was running",
                backup_pk=backup_pk,
                decided=start + days * DAY,
            )
            for backup_pk, days, outcome, count in (
                (good, 1, "fired", 1),
                (failed, 2, "fired", 1),
                (None, 5, "missed", 3),
                (None, 6, "fired", 1),
            )
        )
    return addon_pk


def document_of(reporting: Reporting, number: int) -> Any:
    return json.loads((reporting.directory / f"report-{number}.json").read_bytes())


def verified(reporting: Reporting) -> Verdict:
    return verify([reporting.directory], read_key(reporting.write_key()))


def test_a_report_says_what_happened_and_stock_openssl_verifies_it(
    reporting: Reporting, lived_in: int
) -> None:
    reporting.make()
    document = document_of(reporting, 1)
    assert document["format"] == "holdfast-proof/1"
    assert "previous" not in document
    (addon,) = document["addons"]
    assert addon["name"] == SCRIPT
    assert addon["due"] == {
        "due": 6, "made": 1, "failed": 1, "missed": 3, "open": 0, "undecided": 0, "forgotten": 1
    }  # fmt: skip
    assert [row["outcome"] for row in addon["notMade"]] == ["failed", "missed"]
    assert addon["notMade"][0]["reason"] == "<b>disk</b> full"
    good, failed = addon["backups"]
    assert (good["status"], failed["status"]) == ("completed", "failed")
    assert good["copies"][0]["place"] == "platform store"
    assert good["copies"][0]["readAt"] == good["createdAt"]
    assert addon["stored"][0]["copies"] == 1
    assert addon["restores"][0]["seconds"] == 90
    assert addon["drills"][0]["seconds"] == {"restore": 12.3}
    assert addon["deletions"][0]["reason"] == "it is older than 7 days"
    assert addon["protection"]["state"] == "unprotected"
    assert document["changes"][0]["actor"]["name"] == "deploy"
    summary = document["summary"]
    assert (summary["addons"], summary["states"]["unprotected"]) == (1, 1)
    assert summary["worst"][0]["addon"] == addon["addon"]
    key = reporting.write_key()
    for changed in (False, True):
        if changed:
            flip(reporting.directory / "report-1.json", 200)
        ran = subprocess.run(
            [
                *("openssl", "pkeyutl", "-verify", "-pubin", "-inkey", key, "-rawin"),
                *("-in", reporting.directory / "report-1.json"),
                *("-sigfile", reporting.directory / "report-1.sig"),
            ],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert (ran.returncode != 0) is changed, ran


def test_the_page_is_one_file_and_shows_foreign_text_as_text(
    reporting: Reporting, lived_in: int
) -> None:
    reporting.make()
    html = (reporting.directory / "report-1.html").read_text()
    assert "<script" not in html
    assert "http://" not in html.lower()
    assert "https://" not in html.lower()
    assert "src=" not in html
    assert "<b>disk</b>" not in html
    assert "&lt;b&gt;disk&lt;/b&gt; full" in html
    assert "<i>b</i>" not in html
    assert "@page" in html
    assert "Due 6: 1 made, 1 failed, 3 missed or skipped, 1 whose records are gone." in html
    assert "12.3 s" in html


def flip(path: Path, position: int) -> None:
    body = bytearray(path.read_bytes())
    body[position] ^= 1
    path.write_bytes(bytes(body))


def test_one_changed_byte_of_any_file_shows(reporting: Reporting, lived_in: int) -> None:
    for _ in range(3):
        reporting.make()
    assert verified(reporting).problems == []
    for kind, sentence in (
        ("json", "the JSON or its signature was changed"),
        ("html", "the HTML was changed"),
        ("sig", "the JSON or its signature was changed"),
    ):
        path = reporting.directory / f"report-2.{kind}"
        whole = path.read_bytes()
        flip(path, len(whole) - 10)
        problems = verified(reporting).problems
        assert f"report-2: {sentence}" in problems[0]
        assert ("report 3 follows another report 2" in problems[-1]) is (kind == "json")
        path.unlink()
        assert "report-2: the" in verified(reporting).problems[0]
        path.write_bytes(whole)


def test_a_report_that_was_dropped_shows_and_so_does_another_key(
    reporting: Reporting, lived_in: int, tmp_path: Path
) -> None:
    for _ in range(3):
        reporting.make()
    other = PrivateKey.new().public
    assert len(verify([reporting.directory], other).problems) == 3
    assert "signed with another key" in verify([reporting.directory], other).problems[0]
    for path in reporting.directory.glob("report-2.*"):
        path.unlink()
    (problem,) = verified(reporting).problems
    assert problem.startswith("report 2 (all projects) is missing")
    for path in reporting.directory.glob("report-1.*"):
        path.unlink()
    verdict = verified(reporting)
    assert verdict.problems == []
    assert "begin with 3 here" in verdict.notes[0]


def test_reports_about_a_project_have_a_chain_of_their_own(
    reporting: Reporting, lived_in: int, new_addon: Callable[[], int], tmp_path: Path
) -> None:
    other = new_addon()
    with reporting.catalog.write() as session:
        session.execute(update(Restore).values(addon_pk=other))
    with reporting.catalog.read() as session:
        project = session.get_one(Project, session.get_one(Addon, lived_in).project_pk)
        scope = project.pk, project.id
    for about in (scope, (None, None), scope):
        reporting.make(*about)
    assert len(document_of(reporting, 2)["addons"]) == 2
    third = document_of(reporting, 3)
    assert [addon["project"] for addon in third["addons"]] == [scope[1]]
    assert third["addons"][0]["restores"][0]["into"] == "an addon of another project"
    assert third["changes"] == []
    assert third["previous"]["number"] == 2
    assert third["previousOfScope"]["number"] == 1
    for path in reporting.directory.glob("report-2.*"):
        path.unlink()
    assert verified(reporting).problems == []


def test_of_two_reports_at_once_one_follows_the_other(reporting: Reporting, lived_in: int) -> None:
    first, second = reporting.signed(), reporting.signed()
    assert reporting.store(first).number == 1
    with pytest.raises(verbs.Outrun):
        reporting.store(second)
    assert reporting.make().number == 2


def test_an_addon_that_was_deleted_is_still_in_the_report(
    reporting: Reporting, lived_in: int, new_addon: Callable[[], int]
) -> None:
    before = new_addon()
    with reporting.catalog.write() as session:
        for pk, at in ((lived_in, reporting.until - HOUR), (before, reporting.since - 1)):
            session.execute(update(Addon).where(Addon.pk == pk).values(deleted=at))
    with reporting.catalog.write() as session:
        session.get_one(Addon, lived_in).updated += 1
    reporting.make()
    (addon,) = document_of(reporting, 1)["addons"]
    assert addon["deletedAt"]
    assert "protection" not in addon
    assert len(addon["backups"]) == 2
    assert document_of(reporting, 1)["summary"]["states"]["deleted"] == 1


def test_what_no_scheduler_decided_about_is_due_and_not_made(
    reporting: Reporting, lived_in: int
) -> None:
    with reporting.catalog.write() as session:
        session.execute(update(Schedule).values(next_due=reporting.until - 2 * DAY + HOUR))
    reporting.make()
    (addon,) = document_of(reporting, 1)["addons"]
    assert addon["due"]["undecided"] == 2


def test_a_period_whose_records_are_gone_says_so(reporting: Reporting, lived_in: int) -> None:
    reporting.now += 401 * DAY
    reporting.make()
    (sentence,) = document_of(reporting, 1)["limits"]
    assert "may be missing here" in sentence
    assert "may be missing here" in (reporting.directory / "report-1.html").read_text()


def test_the_page_is_short_where_the_json_is_long(
    reporting: Reporting, installation: Installation, lived_in: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page, "MAX_ROWS", 3)
    for _ in range(4):
        installation.clock.at += HOUR
        installation.backup(lived_in)
    reporting.make()
    assert len(document_of(reporting, 1)["addons"][0]["backups"]) == 6
    html = (reporting.directory / "report-1.html").read_text()
    assert "3 more are in the report’s JSON" in html
    assert "&lt;b&gt;disk&lt;/b&gt; full" in html


def test_the_database_lets_nobody_change_a_report(reporting: Reporting, lived_in: int) -> None:
    reporting.make()
    for statement in (
        "UPDATE reports SET made = 1",
        "UPDATE report_parts SET position = 7",
        "DELETE FROM report_parts",
    ):
        with pytest.raises(DatabaseError, match="only ever added"), reporting.catalog.write() as s:
            s.execute(text(statement))
    with pytest.raises(DatabaseError), reporting.catalog.write() as session:
        session.execute(delete(Report))
