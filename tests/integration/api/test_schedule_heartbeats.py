"""Heartbeats of a schedule: its backups, and theirs alone, ping a healthchecks-style URL."""

from collections.abc import Callable

import pytest
from sqlalchemy import select

from fixtures.breakable import Breakable
from fixtures.holdfast import Api, Server, await_that, fresh
from fixtures.receivers import Hook
from holdfast.catalog.alarms import backup_events
from holdfast.catalog.database.session import Catalog
from holdfast.catalog.schema import Backup
from holdfast.domain.access import Permission
from holdfast.domain.operation import Status

pytestmark = pytest.mark.sqlite_first


def add(api: Api, hook: Hook, schedule: str, **more: str) -> str:
    settings = {"url": f"{hook.url}/uuid", "schedule": schedule, **more}
    body = {"name": fresh("Beat"), "kind": "heartbeat", "settings": settings}
    return api.post("/channels", body).data["id"]


def test_its_backups_ping(
    api: Api, server: Server, breakable: Breakable, hook: Hook, other_hook: Hook
) -> None:
    (schedule,) = api.get(f"{breakable.path}/backup-schedules").data["schedules"]
    channel = add(api, hook, schedule["id"])
    with_statuses = add(api, other_hook, schedule["id"], signals="exit-status")
    assert breakable.back_up() == "completed"
    assert api.post(f"/channels/{channel}/test").data["status"] == "sent"
    assert [each.path for each in hook.posted] == ["/uuid"], "a backup of no schedule pings nothing"
    catalog = Catalog(server.database_url or f"sqlite:///{server.data_dir / 'holdfast.db'}")
    with catalog.write() as session:  # as if the schedule had caused it
        backup = session.scalars(select(Backup).order_by(Backup.pk.desc()).limit(1)).one()
        backup.schedules = [{"id": schedule["id"]}]
        session.flush()
        for status in (Status.IN_PROGRESS, Status.COMPLETED, Status.FAILED, Status.ABORTED):
            backup_events.note(session, str(backup.operation), status, 1)
    catalog.close()
    await_that(lambda: len(hook.posted) == 5)
    paths = [each.path for each in hook.posted[1:]]
    assert paths == ["/uuid/start", "/uuid", "/uuid/fail", "/uuid/fail"]
    await_that(lambda: len(other_hook.posted) == 4)
    paths = [each.path for each in other_hook.posted]
    assert paths == ["/uuid/start", "/uuid/0", "/uuid/11", "/uuid/11"]
    breakable.break_password()
    breakable.back_up()
    breakable.alarm("addon.backup-failed", is_open=True)
    assert len(hook.posted) == 5, "it gets no alarms"
    assert api.patch(f"/channels/{channel}", {"name": "Another name"}).status == 200
    assert api.patch(f"/channels/{channel}", {"severity": "info"}).status == 400
    api.delete(f"/channels/{channel}")
    api.delete(f"/channels/{with_statuses}")


def test_a_schedule_of_others_is_none(
    api: Api, breakable: Breakable, hook: Hook, token_of: Callable[..., Api]
) -> None:
    (schedule,) = api.get(f"{breakable.path}/backup-schedules").data["schedules"]
    other = token_of(list(Permission), projects=[api.project()])
    settings = {"url": hook.url, "schedule": schedule["id"]}
    body = {"name": fresh("Beat"), "kind": "heartbeat", "settings": settings}
    assert other.post("/channels", body).details.keys() == {"settings.schedule"}
    assert token_of(list(Permission), projects=[breakable.project]).post("/channels", body).data[
        "projects"
    ] == [breakable.project]
