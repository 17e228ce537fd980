"""A catalogue with very many schedules, written straight into an empty database.

The addons are attached and never asked for anything. Every schedule is next due far ahead, until
`make_due` says otherwise.
"""

import uuid

from sqlalchemy import insert, select, update

from holdfast.catalog.database.migrate import migrate
from holdfast.catalog.database.session import Catalog
from holdfast.catalog.schema import Addon, Project, Schedule
from holdfast.kit import ids

_AT_ONCE = 10_000
_KINDS = (("dump", "hourly"), ("dump", "daily"), ("dump", "weekly"), ("snapshot", "daily"))
_ARRAYS = {
    "hourly": {"minute": [7], "hour": [], "day": []},
    "daily": {"minute": [7], "hour": [3], "day": []},
    "weekly": {"minute": [7], "hour": [3], "day": [6]},
}


def fill_fleet(catalog: Catalog, count: int, due: int) -> None:
    """`count` schedules, four to an addon, all due at `due`."""
    migrate(catalog)
    with catalog.write() as session:
        project = Project(id="fleet", name="Fleet", created=1, updated=1)
        session.add(project)
        session.flush()
        addons = -(-count // len(_KINDS))
        for first in range(0, addons, _AT_ONCE):
            numbers = range(first, min(first + _AT_ONCE, addons))
            session.execute(insert(Addon), [addon_row(project.pk, number) for number in numbers])
        pks = list(session.scalars(select(Addon.pk).order_by(Addon.pk)))
        rows = [_schedule(pk, *kind, due) for pk in pks for kind in _KINDS][:count]
        for first in range(0, count, _AT_ONCE):
            session.execute(insert(Schedule), rows[first : first + _AT_ONCE])
    with catalog.engine.connect() as connection:
        connection.exec_driver_sql("ANALYZE")
        connection.commit()


def make_due(catalog: Catalog, kind: str, count: int, instant: int) -> None:
    """The daily schedules of `kind` of `count` addons are due at `instant`, a whole minute."""
    minutes = instant // 60_000
    with catalog.write() as session:
        daily = select(Schedule.pk).where(Schedule.interval == "daily", Schedule.type == kind)
        session.execute(
            update(Schedule)
            .where(Schedule.pk.in_(daily.order_by(Schedule.pk).limit(count)))
            .values(next_due=instant, minute=[minutes % 60], hour=[minutes // 60 % 24])
            .execution_options(synchronize_session=False)
        )


def addon_row(project_pk: int, number: int) -> dict[str, object]:
    return {
        "uid": str(uuid.UUID(int=number)),
        "project_pk": project_pk,
        "id": f"addon-{number}",
        "name": f"Addon {number}",
        "kind": "postgresql",
        "version": "15.18",
        "managed": False,
        "desired": "running",
        "status": "running",
        "host": "127.0.0.1",
        "port": 5432,
        "user": "nobody",
        "database": "shop",
        "options": {},
        "sealed_password": "",
        "tags": [],
        "spec": {},
        "created": 1,
        "updated": 1,
    }


def _schedule(addon_pk: int, kind: str, interval: str, due: int) -> dict[str, object]:
    return {
        "id": ids.hex24(),
        "addon_pk": addon_pk,
        "type": kind,
        "compression": "gz" if kind == "dump" else None,
        "additional": [],
        "interval": interval,
        **_ARRAYS[interval],
        "retention": 7,
        "next_due": due,
        "created": 1,
        "updated": 1,
    }
