"""Answers about drills: what was restored for proof, and what was found."""

from holdfast.views.shapes.base import Document, Shape


class DrillFinding(Shape):
    """`verdict` is passed, failed or inconclusive."""

    name: str
    verdict: str
    found: str


class DrillOpinion(Shape):
    passed: bool
    note: str
    by: str
    at: str


class DrillView(Shape):
    """`verdict` is passed, failed or inconclusive; without one the drill came to none. `seconds`
    by name: `fetch`, `load`, `firstQuery` and `restore` are what a restore takes, `checks`,
    `content` and `assertions` what the drill does besides; `predicted` is a restore of the addon's
    present size. `target_timestamp`: the archive was replayed onto the backup up to it. `cause` is
    request, plan or backup. `reason` is why it ended so, or why it does not begin."""

    id: str
    backup_id: str
    target_timestamp: str | None = None
    cause: str
    status: str
    reason: str | None = None
    verdict: str | None = None
    findings: list[DrillFinding]
    seconds: dict[str, float]
    version: str | None = None
    bytes: str
    kept_until: str | None = None
    opinions: list[DrillOpinion]
    created_at: str
    completed_at: str | None = None
    progress: Document | None = None


class DrillList(Shape):
    drills: list[DrillView]


class DrillStarted(Shape):
    drill_id: str


class DrillServer(Shape):
    """How to reach the kept server of a drill, on the worker's own machine."""

    host: str
    port: int
    user: str
    password: str
    database: str
    kept_until: str


class DrillPlanView(Shape):
    scheduled: bool
    after_backup: bool
    compare_content: bool


class AssertionView(Shape):
    name: str
    text: str
    seconds: int
    database: str | None = None


class AssertionList(Shape):
    assertions: list[AssertionView]
