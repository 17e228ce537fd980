"""A catalogue with very many backups of many addons, all kept at one destination.

They expire one after another during the 60 days that follow the moment of writing: a server that
is started on it has nothing to prune, and a plan for later finds as many expired as one likes.
"""

import uuid
from pathlib import Path

from sqlalchemy import insert, select

from benchmarks.fleet import addon_row
from holdfast.catalog.database.migrate import migrate
from holdfast.catalog.database.session import Catalog
from holdfast.catalog.schema import Addon, Backup, Copy, Destination, Project

DESTINATION = "offsite"
DAYS = 60
DAY_MS = 86_400_000
_HOUR_MS = 3_600_000


def fill_shelves(data_dir: Path, addons: int, each: int, now: int) -> None:
    """Every tenth backup failed, every fiftieth is retained."""
    catalog = Catalog(f"sqlite:///{data_dir / 'holdfast.db'}")
    migrate(catalog)
    with catalog.write() as session:
        project = Project(id="fleet", name="Fleet", created=1, updated=1)
        place = Destination(
            id=DESTINATION, name="Offsite", kind="s3", prefix="", options={}, sealed_secret="",
            created=1, updated=1,
        )  # fmt: skip
        session.add_all([project, place])
        session.flush()
        project_pk, place_pk = project.pk, place.pk
        session.execute(insert(Addon), [addon_row(project_pk, n) for n in range(addons)])
        pks = list(session.scalars(select(Addon.pk).order_by(Addon.pk)))
    for turn in range(each):  # as schedules do: one of each addon, then the next of each
        with catalog.write() as session:
            first = turn * addons
            taken = now - DAYS * DAY_MS + _HOUR_MS + turn * (DAYS * DAY_MS // each)
            numbered = [(first + n + 1, pk) for n, pk in enumerate(pks)]
            session.execute(insert(Backup), [_backup(n, pk, taken) for n, pk in numbered])
            session.execute(insert(Copy), [_copy(n, pk, place_pk, taken) for n, pk in numbered])
    with catalog.engine.connect() as connection:
        connection.exec_driver_sql("ANALYZE")
        connection.commit()
    catalog.close()


def _status(number: int) -> str:
    return "failed" if number % 10 == 7 else "completed"


def _backup(number: int, addon_pk: int, taken: int) -> dict[str, object]:
    return {
        "pk": number,
        "uid": str(uuid.UUID(int=number)),
        "addon_pk": addon_pk,
        "id": f"backup-{number}",
        "name": f"Backup {number}",
        "type": "dump",
        "source": "sameAddon",
        "compression": "zstd",
        "status": _status(number),
        "size": 80_000_000 + number,
        "version": "15.18",
        "retained": number % 50 == 0,
        "created": taken,
        "completed": taken + 4_000,
    }


def _copy(number: int, addon_pk: int, place_pk: int, taken: int) -> dict[str, object]:
    expires = taken + DAYS * DAY_MS
    return {
        "pk": number,
        "backup_pk": number,
        "addon_pk": addon_pk,
        "destination_pk": place_pk,
        "additional": False,
        "retention": DAYS,
        "status": _status(number),
        "size": 80_000_000 + number,
        "objects": f"dumps/fleet/addon/{number}/1/",
        "created": taken,
        "completed": taken + 4_000,
        "expires": expires,
        "review": expires,
    }
