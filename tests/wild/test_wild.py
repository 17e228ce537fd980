"""The law of wild databases: a completed backup restores equal, or its evidence had warned.

Each seed is a database that nobody designed. `make test-wild` tries hundreds; every run, a few.
`HOLDFAST_WILD_SEEDS=from:to` chooses which, so that a found fault can be looked at.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import pytest

from fixtures import sqlite_data
from fixtures.conformance import ConformanceInstallation, differences, drilled, opened
from fixtures.engine_cases import ENGINE_CASES, EngineCase, Instance, SQLiteCase
from fixtures.holdfast import Api, await_that, fresh
from wild import mongodb, mysql, postgresql, redis, sqlite

FILLS: Mapping[str, Callable[..., list[str]]] = {
    "postgresql": postgresql.fill,
    "mariadb": mysql.fill,
    "mongodb": mongodb.fill,
    "redis": redis.fill,
    "valkey": redis.fill,
    "sqlite": sqlite.fill,
}
WILD = {**ENGINE_CASES, "sqlite": SQLiteCase(sqlite_data.contents)}
FEW = range(1)
FAST = {
    ("postgresql", "dump-zstd", "attached"),
    ("mariadb", "dump-zstd", "attached"),
    ("mongodb", "dump-zstd", "attached"),
    ("valkey", "snapshot", "attached"),
    ("sqlite", "dump-zstd", "attached"),
    ("sqlite", "snapshot", "attached"),
}
"""What every run tries; the slow one, and `make test-wild`, try the rest."""


def seeds() -> range:
    first, _, last = os.environ.get("HOLDFAST_WILD_SEEDS", "").partition(":")
    return range(int(first), int(last)) if last else FEW


def _cases() -> Iterator[Any]:
    """Snapshots of a user's own server are looked at by nobody with its old rights once they are on
    a managed one; so those of managed servers are compared."""
    for name in FILLS:
        for form in WILD[name].forms:
            for place in places(name, form):
                marks = () if (name, form, place) in FAST else pytest.mark.slow
                yield pytest.param(name, form, place, marks=marks, id=f"{name}-{form}-{place}")


def places(name: str, form: str) -> Sequence[str]:
    if WILD[name].managed_version is None:
        return ["attached"]
    if form == "snapshot" and name in ("postgresql", "mariadb", "mongodb"):
        return ["managed"]
    return ["attached", "managed"]


@pytest.mark.timeout(0)  # as long as there are seeds
@pytest.mark.parametrize(("name", "form", "place"), list(_cases()))
def test_completed_backups_come_back(
    conformance: ConformanceInstallation, name: str, form: str, place: str
) -> None:
    case = WILD[name]
    project = conformance.api.project()
    kind, _, compression = form.partition("-")
    into = "managed" if kind == "snapshot" and case.managed_version else place
    violations: list[str] = []
    for seed in seeds():
        with (
            opened(conformance, case, project, place, "source") as (source, had),
            opened(conformance, case, project, into, "target") as (target, gets),
        ):
            used = FILLS[name](had.url, seed, powerful=place == "attached")
            trial = Trial(conformance.api, case, kind, compression, source, target)
            found = list(trial.run(had, gets))
            violations += [f"seed {seed}: {what}" for what in found]
            violations += [f"seed {seed} has {', '.join(used)}"] if found else []
    assert not violations, "\n".join(violations)


def failures(drill: dict[str, Any]) -> str:
    failed = [finding for finding in drill["findings"] if finding["verdict"] == "failed"]
    return "; ".join(f"{finding['name']}: {finding['found']}" for finding in failed)


class Trial:
    """One database that is backed up and restored."""

    def __init__(
        self, api: Api, case: EngineCase, kind: str, compression: str, source: str, target: str
    ) -> None:
        self.api, self.case, self.kind = api, case, kind
        self.body = {"name": fresh("Wild"), "backupType": kind}
        if compression:
            self.body["compressionType"] = compression
        self.source, self.target = source, target

    def run(self, had: Instance, gets: Instance) -> Iterator[str]:
        before = had.found()
        backup = self.api.post(f"{self.source}/backups", self.body).data["id"]
        made = self.ended(f"{self.source}/backups/{backup}")
        if made["status"] != "completed":
            yield f"no backup: {made['status']}: {made.get('reason')}"
            return
        evidence = self.api.get(f"{self.source}/backups/{backup}/evidence").data
        warnings: list[Any] = evidence["warnings"]
        drill = drilled(self.api, self.source, backup)
        restore = self.restored(backup, {})
        if drill["verdict"] == "failed" and restore["status"] == "completed":
            yield f"a false alarm: {failures(drill)}"
        if restore["status"] != "completed":
            if drill["verdict"] == "passed" and not warnings:
                yield f"a drill passed, and yet: {restore['reason']}"
            if not warnings:
                yield f"not restored, without a warning: {restore['reason']}"
            choices = {
                "skipFailedObjects": True,
                "acceptDifferences": (restore.get("report") or {}).get("differences", []),
                "keepOldHours": 0,
            }
            if self.kind == "snapshot":
                del choices["skipFailedObjects"]
            restore = self.restored(backup, choices)
            if restore["status"] != "completed":
                yield f"not restored by any choice: {restore['reason']}"
                return
        for difference in differences(self.case, self.kind, before, had, gets):
            if not any(covers(warning, difference) for warning in warnings):
                yield f"differs: {difference}"

    def ended(self, path: str) -> dict[str, Any]:
        return await_that(lambda: (b := self.api.get(path).data).get("completedAt") and b, 300)

    def restored(self, backup: str, choices: dict[str, Any]) -> dict[str, Any]:
        _, _, project, _, addon = self.source.split("/")
        origin = {"sourceProjectId": project, "sourceAddonId": addon}
        path, headers = f"{self.target}/backups/{backup}", {"idempotency-key": fresh("key")}
        begun = self.api.post(f"{path}/restore", choices, params=origin, headers=headers)
        assert begun.status == 200, begun

        def over() -> Any:
            listed = self.api.get(f"{path}/restores", **origin).data["restores"]
            found = next(each for each in listed if each["id"] == begun.data["restoreId"])
            return found if found.get("completedAt") else None

        return await_that(over, 300)


def covers(warning: Mapping[str, Any], difference: str) -> bool:
    """Was it said of this object, or of what it belongs to?"""
    name = str(warning["object"]).rpartition(".")[2].strip('"`')
    place = difference.partition(": ")[0]
    return name in difference or (warning.get("database") or "/") in place
