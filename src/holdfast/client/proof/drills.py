"""Drills: restores into throwaway servers, to prove that backups restore."""

from collections.abc import Sequence

from pydantic import Field

from holdfast.client.logs import LogQuery, lines_of
from holdfast.client.models.models import LogLine, Model, Progress
from holdfast.client.transport.calls import Listing, Noun, R, Steps, call, get, listing, post, put
from holdfast.client.transport.parse import parsed
from holdfast.client.transport.transport import Body, path_of

OVER = frozenset({"completed", "failed", "aborted", "not-supported"})


class DrillFinding(Model):
    name: str = ""
    verdict: str = ""
    found: str = ""


class DrillOpinion(Model):
    passed: bool = False
    note: str = ""
    by: str = ""
    at: str = ""


class Drill(Model):
    """`verdict`: passed, failed or inconclusive; None: it came to none. `reason` is why it ended
    so, or why it does not begin."""

    id: str = ""
    backup_id: str = ""
    target_timestamp: str | None = None
    cause: str = ""
    status: str = ""
    reason: str | None = None
    verdict: str | None = None
    findings: list[DrillFinding] = Field(default=[])
    seconds: dict[str, float] = Field(default={})
    version: str | None = None
    bytes: str = "0"
    kept_until: str | None = None
    opinions: list[DrillOpinion] = Field(default=[])
    created_at: str = ""
    completed_at: str | None = None
    progress: Progress | None = None

    @property
    def ended(self) -> bool:
        """Whether it came to its verdict, even if its server is still kept."""
        return self.status in OVER or self.kept_until is not None


class DrillStarted(Model):
    drill_id: str = ""


class DrillServer(Model):
    host: str = ""
    port: int = 0
    user: str = ""
    password: str = ""
    database: str = ""
    kept_until: str = ""


class DrillPlan(Model):
    scheduled: bool = True
    after_backup: bool = False
    compare_content: bool = True


class Assertion(Model):
    name: str = ""
    text: str = ""
    seconds: int = 30
    database: str | None = None


class Assertions(Model):
    assertions: list[Assertion] = Field(default=[])


def _addon(project: str, addon: str, *rest: str) -> str:
    return path_of("projects", project, "addons", addon, *rest)


def one(project: str, addon: str, drill: str) -> Steps[Drill]:
    return parsed(Drill, (yield from get(_addon(project, addon, "drills", drill))))


class Drills(Noun[R]):
    @call
    def run(
        self,
        project: str,
        addon: str,
        backup: str | None = None,
        keep_minutes: int = 0,
        target_timestamp: str | None = None,
    ) -> Steps[DrillStarted]:
        """Drills a backup, or this moment of the addon's archive; None: the newest good backup."""
        body: dict[str, object] = {} if backup is None else {"backupId": backup}
        if target_timestamp is not None:
            body["targetTimestamp"] = target_timestamp
        if keep_minutes:
            body["keepMinutes"] = keep_minutes
        path = _addon(project, addon, "drills")
        return parsed(DrillStarted, (yield from post(path, body)))

    @listing
    def list(self, project: str, addon: str) -> Listing[Drill]:
        return Listing(Drill, _addon(project, addon, "drills"), "drills")

    @call
    def get(self, project: str, addon: str, drill: str) -> Steps[Drill]:
        return (yield from one(project, addon, drill))

    @call
    def server(self, project: str, addon: str, drill: str) -> Steps[DrillServer]:
        """How to reach the server that a drill keeps. Raises Conflict when it keeps none."""
        path = _addon(project, addon, "drills", drill, "server")
        return parsed(DrillServer, (yield from get(path)))

    @call
    def abort(self, project: str, addon: str, drill: str) -> Steps[None]:
        yield from post(_addon(project, addon, "drills", drill, "abort"))

    @call
    def release(self, project: str, addon: str, drill: str) -> Steps[None]:
        """Gives the kept server up before its time."""
        yield from post(_addon(project, addon, "drills", drill, "release"))

    @call
    def give_opinion(
        self, project: str, addon: str, drill: str, *, passed: bool, note: str = ""
    ) -> Steps[None]:
        """Adds what a person or a script found out about the restored server."""
        path = _addon(project, addon, "drills", drill, "opinions")
        yield from post(path, {"passed": passed, "note": note})

    @call
    def logs(
        self, project: str, addon: str, drill: str, query: LogQuery | None = None
    ) -> Steps[Sequence[LogLine]]:
        return (yield from lines_of(_addon(project, addon, "drills", drill, "logs"), query))

    @call
    def plan(self, project: str, addon: str) -> Steps[DrillPlan]:
        return parsed(DrillPlan, (yield from get(_addon(project, addon, "drill-plan"))))

    @call
    def set_plan(self, project: str, addon: str, body: Body) -> Steps[DrillPlan]:
        """Replaces the plan. `body`: scheduled, afterBackup, compareContent."""
        return parsed(DrillPlan, (yield from put(_addon(project, addon, "drill-plan"), body)))

    @call
    def assertions(self, project: str, addon: str) -> Steps[Assertions]:
        return parsed(Assertions, (yield from get(_addon(project, addon, "assertions"))))

    @call
    def set_assertions(
        self, project: str, addon: str, assertions: Sequence[Assertion]
    ) -> Steps[Assertions]:
        """Replaces the questions that every drill of the addon asks."""
        body = {"assertions": [assertion.document() for assertion in assertions]}
        return parsed(Assertions, (yield from put(_addon(project, addon, "assertions"), body)))
