"""Every route, asked by a token of one project with the ids of another one, in all mixtures.

The routes come from the API's own document, so a route that is added later is asked, too.
"""

import itertools
import json
import os
import re
import sqlite3
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import select, update
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from fixtures.bodies import BILLING
from holdfast.api.v1 import destinations as destination_routes
from holdfast.bootstrap import Parts, build_api, make_owner
from holdfast.catalog.schema import Backup, Copy, Restore, Table
from holdfast.catalog.work import journal
from holdfast.domain.access import Permission
from holdfast.settings import Settings, prepare_data_dir

SECRET = "classified"
"""In everything that the other project has, beside its ids."""
BUCKET = {"accessKey": "AK", "secretKey": "key", "region": "eu",
          "endpoint": "https://s3.example.org"}  # fmt: skip
NOT_THERE = (403, 404)


@dataclass
class Team:
    """One project with one of everything; `ids` by the names of path parameters."""

    project: str
    mark: str
    ids: dict[str, str] = field(default_factory=dict[str, str])

    @property
    def addon(self) -> str:
        return f"/v1/projects/{self.project}/addons/{self.ids['addon_id']}"


@dataclass
class World:
    parts: Parts
    owner: TestClient
    lesser: TestClient
    ours: Team
    theirs: Team
    cross: str
    """A restore of our backup into their addon."""

    def their_rows(self) -> str:
        """Everything of the catalogue but what asking itself leaves, as text."""
        skipped = {"replays", "audit_log", "tokens", "alembic_version", "workers", "chores"}
        with self.parts.catalog.read() as session:
            tables = [t for t in Table.metadata.sorted_tables if t.name not in skipped]
            rows = {t.name: sorted(map(str, session.execute(select(t)))) for t in tables}
        return json.dumps(rows)


def _ok(answer: Any) -> Any:
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]


def _fill(parts: Parts, owner: TestClient, team: Team, file: Path) -> None:
    """Everything that a path can name."""
    owner.post("/v1/projects", json={"name": team.project, "description": team.mark})
    body = {"name": f"{team.project} addon", "type": "sqlite", "description": team.mark}
    body["connectionString"] = f"sqlite://{file}"
    made = _ok(owner.post(f"/v1/projects/{team.project}/addons", json=body))
    team.ids |= {"project_id": team.project, "addon_id": made["id"]}
    body = {"backupType": "dump", "name": f"{team.project} nightly"}
    backup = _ok(owner.post(f"{team.addon}/backups", json=body))
    team.ids["backup_id"] = backup["id"]
    with parts.catalog.write() as session:  # as if a worker had made it
        session.execute(update(Backup).values(status="completed"))
        session.execute(update(Copy).values(status="completed", objects="dumps/x/"))
        row = session.scalars(select(Backup).where(Backup.id == backup["id"])).one()
        journal.write(session, str(row.operation), 1, f"said {team.mark}")
        team.ids["uid"] = row.uid
    one = f"{team.addon}/backups/{backup['id']}"
    team.ids["restore_id"] = _ok(owner.post(f"{one}/restore", json={}))["restoreId"]
    schedule = {"backupType": "dump", "retentionTime": 3}
    schedule["scheduling"] = {"interval": "hourly", "minute": [0]}
    team.ids["schedule_id"] = _ok(owner.post(f"{team.addon}/backup-schedules", json=schedule))["id"]
    team.ids["upload_id"] = _ok(owner.post(f"{team.addon}/uploads", json={"size": 9}))["id"]
    keys = {**BUCKET, "secretKey": f"key-{team.mark}", "bucketName": f"{team.project}-bucket"}
    body = {"name": f"{team.project} bucket", "type": "s3", "prefix": "", "credentials": keys}
    body |= {"projectId": team.project, "description": team.mark}
    team.ids["destination_id"] = _ok(owner.post("/v1/backup-destinations", json=body))["id"]
    body = {"name": f"token {team.mark}", "role": "default", "projects": [team.project]}
    team.ids["token_id"] = _ok(owner.post("/v1/tokens", json=body))["id"]
    team.ids |= {"role_id": "operator", "name": "backup.tar"}


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    home, umask = Path(tempfile.mkdtemp(prefix="holdfast-")), os.umask(0o077)
    (home / "files").mkdir()
    for name in ("ours", "theirs"):
        with sqlite3.connect(home / "files" / f"{name}.db") as database:
            database.execute("CREATE TABLE t (x)")
    settings = Settings(data_dir=home / "data", queue="table", sqlite_roots=str(home / "files"))
    prepare_data_dir(settings)
    parts = Parts(settings)
    make_owner(parts)
    token = (home / "data" / "owner.token").read_text().strip()
    app = build_api(parts)
    owner = TestClient(app, headers={"Authorization": f"Bearer {token}"})
    with pytest.MonkeyPatch.context() as patch:
        tried = SimpleNamespace(settings={})
        patch.setattr(destination_routes, "require_bucket", lambda *_: tried)
        ours, theirs = Team("shop", "open"), Team("payroll", SECRET)
        for team in (ours, theirs):
            _fill(parts, owner, team, home / "files" / f"{'ours' if team is ours else 'theirs'}.db")
        query = {"sourceProjectId": "shop", "sourceAddonId": ours.ids["addon_id"]}
        into = f"{theirs.addon}/backups/{ours.ids['backup_id']}/restore"
        with parts.catalog.write() as session:
            session.execute(update(Restore).values(status="completed"))
        cross = _ok(owner.post(into, params=query, json={}))["restoreId"]
        everything = [str(permission) for permission in Permission]
        _ok(owner.post("/v1/roles", json={"name": "Operator", "permissions": everything}))
        body = {"name": "ci", "role": "operator", "projects": ["shop"]}
        token = _ok(owner.post("/v1/tokens", json=body))["token"]
        lesser = TestClient(app, headers={"Authorization": f"Bearer {token}"})
        os.umask(umask)  # an installation inside this process leaves a private one behind
        yield World(parts, owner, lesser, ours, theirs, cross)


def _routes(world: World) -> Iterator[tuple[str, str, list[str], set[str]]]:
    """Method, path, path parameters and names of query parameters of every documented route."""
    for path, operations in world.lesser.app.openapi()["paths"].items():  # type: ignore[attr-defined]
        for method, operation in operations.items():
            query = {p["name"] for p in operation.get("parameters", ()) if p["in"] == "query"}
            yield method.upper(), path, re.findall(r"\{(\w+)\}", path), query


def _mixtures(world: World, names: list[str]) -> Iterator[Mapping[str, str]]:
    """Each parameter once of ours and once of theirs."""
    choices = [
        {world.ours.ids.get(name, "x"), world.theirs.ids.get(name, "x")}
        | ({world.cross} if name == "restore_id" else set())
        for name in names
    ]
    for values in itertools.product(*choices):
        yield dict(zip(names, values, strict=True))


def test_no_route_shows_or_changes_what_belongs_to_another_project(world: World) -> None:
    before, asked, wrong = world.their_rows(), 0, []
    for method, path, names, _ in _routes(world):
        for chosen in _mixtures(world, names):
            foreign = any(value != world.ours.ids.get(name, "x") for name, value in chosen.items())
            if method != "GET" and not foreign:
                continue  # that is ours to change
            asked += 1
            answer = world.lesser.request(method, path.format(**chosen), json={})
            if foreign and answer.status_code == 200:
                wrong.append(f"{method} {path} {dict(chosen)}: answered")
            if SECRET in answer.text:
                wrong.append(f"{method} {path} {dict(chosen)}: {answer.text[:200]}")
    assert wrong == []
    assert asked > 200
    assert world.their_rows() == before


def _bodies(world: World) -> Iterator[tuple[str, str, dict[str, Any], dict[str, str]]]:
    """Method, path, body and query of whatever names another project's things outside of the path.
    All of it is valid but for whose it is."""
    ours, theirs = world.ours, world.theirs
    backup = f"{ours.addon}/backups/{ours.ids['backup_id']}"
    source = {"sourceProjectId": "payroll", "sourceAddonId": theirs.ids["addon_id"]}
    place = theirs.ids["destination_id"]
    for restore in (theirs.ids["restore_id"], world.cross):
        yield "POST", f"{backup}/undo-restore", {"restoreId": restore}, {}
        yield "POST", f"{backup}/undo-restore", {"restoreId": restore}, source
        yield "POST", f"{backup}/abort-restore", {"restoreId": restore}, {}
        yield "POST", f"{backup}/abort-restore", {"restoreId": restore}, source
    into = f"{ours.addon}/backups/{theirs.ids['backup_id']}"
    yield "POST", f"{into}/restore", {}, source
    yield "GET", f"{into}/restores", {}, source
    yield "GET", f"{into}/logs", {}, source
    yield "POST", f"{ours.addon}/backups", {"backupType": "dump", "customDestinationId": place}, {}
    more = [{"destinationId": place, "type": "custom"}]
    snapshot = {"backupType": "snapshot", "additionalDestinations": more}
    yield "POST", f"{ours.addon}/backups", snapshot, {}
    yield "POST", f"{ours.addon}/import", {"uploadId": theirs.ids["upload_id"]}, {}
    daily = {"interval": "daily", "minute": [0], "hour": [1]}
    schedule = {"backupType": "dump", "retentionTime": 3, "scheduling": daily}
    schedule["customDestinationId"] = place
    yield "POST", f"{ours.addon}/backup-schedules", schedule, {}
    yield "POST", "/v1/retention/audits", {"destinationId": place}, {}
    yield "POST", "/v1/retention/audits", {}, {}
    yield "GET", "/v1/retention/plan/totals", {}, {}
    yield "POST", "/v1/tokens", {"name": "t", "role": "default", "projects": ["payroll"]}, {}
    keys = {**BUCKET, "bucketName": "another"}
    bucket = {"name": "Another", "type": "s3", "prefix": "", "credentials": keys}
    yield "POST", "/v1/backup-destinations", {**bucket, "projectId": "payroll"}, {}
    yield "POST", "/v1/backup-destinations", {**bucket, "projects": ["payroll"]}, {}
    mine = f"/v1/backup-destinations/{ours.ids['destination_id']}"
    yield "PATCH", mine, {"projects": ["payroll"]}, {}
    latest = {"addonId": theirs.ids["addon_id"], "backupId": "latest"}
    for named in (
        {"backupUid": theirs.ids["uid"]},
        {"projectId": "payroll", **latest},
        {"addonId": theirs.ids["addon_id"], "backupId": theirs.ids["backup_id"]},
    ):
        body = {"name": "Fork", "type": "sqlite", "source": named}
        body["billing"] = BILLING
        yield "POST", "/v1/projects/shop/addons", body, {}


def test_no_body_or_query_reaches_another_project(world: World) -> None:
    before = world.their_rows()
    for method, path, body, query in _bodies(world):
        answer = world.lesser.request(method, path, json=body, params=query)
        assert answer.status_code in (400, *NOT_THERE), (method, path, body, answer.text)
        assert SECRET not in answer.text, (method, path, body)
    assert world.their_rows() == before


@pytest.mark.parametrize("query", [{"projectId": "payroll"}, {"projectId": "shop"}, {}])
def test_lists_of_everything_hold_nothing_of_another_project(
    world: World, query: dict[str, str]
) -> None:
    for path in ("/v1/retention/plan", "/v1/audit-log"):
        answer = world.lesser.get(path, params=query)
        assert SECRET not in answer.text
        assert "payroll" not in answer.text.replace("there is no project 'payroll'", "")


def test_no_live_log_of_another_project_can_be_followed(world: World) -> None:
    token = world.lesser.headers["authorization"].removeprefix("Bearer ")
    hello = {"type": "init", "data": {"auth": {"type": "apiToken", "apiToken": token}}}
    for path in (
        "/v1/projects/{project_id}/addons/{addon_id}/logs",
        "/v1/projects/{project_id}/addons/{addon_id}/backups/{backup_id}/logs",
        "/v1/projects/{project_id}/addons/{addon_id}/backups/{backup_id}/restores/{restore_id}/logs",
    ):
        for chosen in _mixtures(world, re.findall(r"\{(\w+)\}", path)):
            if all(value == world.ours.ids[name] for name, value in chosen.items()):
                continue
            with TestClient(world.lesser.app).websocket_connect(path.format(**chosen)) as socket:
                socket.send_text(json.dumps(hello))
                assert socket.receive_json()["data"] == {"auth": "successful"}
                told = socket.receive_json()
                assert told["type"] == "error", (chosen, told)
                with pytest.raises(WebSocketDisconnect):
                    socket.receive_json()


def test_a_live_log_ends_with_its_token(world: World) -> None:
    body = {"name": "short", "role": "default", "projects": ["shop"]}
    made = _ok(world.owner.post("/v1/tokens", json=body))
    hello = {"type": "init", "data": {"auth": {"type": "apiToken", "apiToken": made["token"]}}}
    backup = _ok(world.owner.post(f"{world.ours.addon}/backups", json={"backupType": "dump"}))
    path = f"{world.ours.addon}/backups/{backup['id']}/logs"
    with TestClient(world.lesser.app).websocket_connect(path) as socket:
        socket.send_text(json.dumps(hello))
        assert socket.receive_json()["data"] == {"auth": "successful"}
        _ok(world.owner.delete(f"/v1/tokens/{made['id']}"))
        with world.parts.catalog.write() as session:
            row = session.scalars(select(Backup).where(Backup.id == backup["id"])).one()
            journal.write(session, str(row.operation), world.parts.clock.now(), SECRET)
        told = []
        with suppress(WebSocketDisconnect):
            while True:
                told.append(socket.receive_json())
    assert SECRET not in str(told)
    assert told[-1]["type"] == "error"
    assert "unknown, expired or revoked" in told[-1]["data"]["message"]


def test_the_owner_of_all_projects_may_all_of_it(world: World) -> None:
    """Or the tests above would pass where nothing works at all."""
    theirs = world.theirs
    logs = f"{theirs.addon}/backups/{theirs.ids['backup_id']}/logs"
    for path, query in ((theirs.addon, {}), (logs, {"startTime": "1970-01-01T00:00:00Z"})):
        assert SECRET in world.owner.get(path, params=query).text
    kept = _ok(world.owner.get(f"/v1/backup-destinations/{theirs.ids['destination_id']}"))
    assert kept["credentials"]["secretKey"] == f"key-{SECRET}"
