"""The view of a backup that rests is kept, and never says what is not true any more.

A view made of an entity is always made anew: it is what the kept one is compared with, as the bytes
that are sent.
"""

from collections.abc import Sequence
from typing import Any

import pytest
from sqlalchemy import update

from fixtures.in_process_installation import START, InProcessInstallation
from fixtures.timetables import DAY
from holdfast.catalog import backups
from holdfast.catalog.database.page import Page
from holdfast.catalog.schema import Backup, Copy, Destination, Restore
from holdfast.http import answers
from holdfast.views.backups import texts, views
from holdfast.views.shapes.backups import BackupList

CAUSE = {
    "id": "nightly", "interval": "daily", "minute": [0], "hour": [3], "retentionTime": 7,
}  # fmt: skip
CHANGES: list[tuple[type[Any], dict[str, object]]] = [
    (Backup, {"name": "Another"}),
    (Backup, {"retained": True}),
    (Backup, {"retained": False}),
    (Backup, {"size": 7}),
    (Backup, {"reason": "it was looked at"}),
    (Backup, {"completed": START + 5}),
    (Backup, {"version": "16"}),
    (Backup, {"status": "failed"}),
    (Backup, {"status": "in-progress"}),
    (Backup, {"status": "completed", "reason": None}),
    (Copy, {"size": 8}),
    (Copy, {"expires": START + 9 * DAY}),
    (Copy, {"expires": None}),
    (Copy, {"status": "failed", "next_try": START + 1, "reason": "away"}),
    (Copy, {"next_try": START + 2}),
    (Copy, {"status": "completed", "next_try": None, "reason": None}),
    (Copy, {"lost": START + 3}),
    (Copy, {"lost": None}),
    (Copy, {"marked": START + 4}),
    (Copy, {"marked": None}),
    (Copy, {"retention": 3}),
    (Destination, {"id": "renamed"}),
    (Restore, {"status": "failed"}),
    (Restore, {"completed": START + 6}),
    (Copy, {"gone": START + 7}),
]


def kept(installation: InProcessInstallation, addon_pk: int) -> bytes:
    with installation.catalog.read() as session:
        items = texts(session, backups.listed(session, addon_pk, Page()).items)
    return bytes(answers.texts("backups", items, None).body)


def anew(installation: InProcessInstallation, pks: Sequence[int]) -> bytes:
    with installation.catalog.read() as session:
        items = views(session, [backups.get(session, pk) for pk in reversed(pks)])
    return bytes(answers.many(BackupList(backups=items), len(items), None).body)


@pytest.fixture
def rested(installation: InProcessInstallation, addon_pk: int) -> list[int]:
    """Two backups in two places, one of them restored."""
    place = installation.destination("bucket")
    pks = [installation.backup(addon_pk, places=(None, place)) for _ in range(2)]
    with installation.catalog.write() as session:
        session.add(
            Restore(id="r" * 24, backup_pk=pks[0], addon_pk=addon_pk, status="completed",
                    operation="o" * 24, created=START)
        )  # fmt: skip
    return pks


def test_every_change_shows_at_once(
    installation: InProcessInstallation, addon_pk: int, rested: list[int]
) -> None:
    told = {kept(installation, addon_pk)}
    for entity, values in CHANGES:
        assert kept(installation, addon_pk) == anew(installation, rested)
        with installation.catalog.write() as session:
            session.execute(update(entity).values(**values))
        assert kept(installation, addon_pk) == anew(installation, rested), (entity, values)
        told.add(kept(installation, addon_pk))
    assert len(told) > len(CHANGES) / 2, "these changes can be seen"


def test_a_schedule_that_caused_it_is_compared_too(
    installation: InProcessInstallation, addon_pk: int, rested: list[int]
) -> None:
    for days in (7, 8):
        with installation.catalog.write() as session:
            causes = [{**CAUSE, "retentionTime": days}]
            session.execute(update(Backup).values(schedules=causes))
        for _ in range(2):
            assert f'"retentionTime":{days}'.encode() in kept(installation, addon_pk)
            assert kept(installation, addon_pk) == anew(installation, rested)


def test_another_restore_shows_at_once(
    installation: InProcessInstallation, addon_pk: int, rested: list[int]
) -> None:
    assert b"scheduled" not in kept(installation, addon_pk)
    with installation.catalog.write() as session:
        session.add(
            Restore(id="s" * 24, backup_pk=rested[0], addon_pk=addon_pk, status="scheduled",
                    operation="p" * 24, created=START + 9)
        )  # fmt: skip
    assert b"scheduled" in kept(installation, addon_pk)
    assert kept(installation, addon_pk) == anew(installation, rested)


def test_texts_of_the_same_rows_are_the_same(
    installation: InProcessInstallation, addon_pk: int, rested: list[int]
) -> None:
    def shown() -> list[str]:
        with installation.catalog.read() as session:
            return texts(session, backups.listed(session, addon_pk, Page()).items)

    first, second = shown(), shown()
    assert len(first) == len(rested)
    assert all(one is other for one, other in zip(first, second, strict=True))


def test_a_page_of_texts_goes_on_like_any_other(
    installation: InProcessInstallation, addon_pk: int, rested: list[int]
) -> None:
    with installation.catalog.read() as session:
        page = backups.listed(session, addon_pk, Page(size=1))
        told = answers.texts("backups", texts(session, page.items), page.cursor)
        whole = views(session, page.items)
    assert page.cursor, f"there are {len(rested)}"
    other = answers.many(BackupList(backups=whole), len(whole), page.cursor)
    assert bytes(told.body) == bytes(other.body)
