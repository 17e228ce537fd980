"""Protection: is every addon protected, why not, and what was promised."""

from pydantic import Field

from holdfast.client.models.models import Model, Words
from holdfast.client.transport.calls import Noun, R, Steps, call, get, put
from holdfast.client.transport.parse import parsed
from holdfast.client.transport.transport import Body, path_of


class Reason(Model):
    sentence: str = ""
    since: str = ""


class ProtectedAddon(Model):
    id: str = ""
    name: str = ""
    type: str = ""
    project_id: str = ""


class Protection(Model):
    """`state`: unprotected, no plan, at risk, paused or protected."""

    addon: ProtectedAddon = ProtectedAddon()
    state: str = ""
    since: str | None = None
    reasons: list[Reason] = Field(default=[])
    last_good_at: str | None = None
    last_recoverable_at: str | None = None
    next_due_at: str | None = None
    max_age_minutes: int | None = None
    proven_at: str | None = None
    proof_seconds: float | None = None
    places: int = 0
    bytes: str = "0"
    objective: Words = Field(default={})
    days: list[Words] = Field(default=[])


class Wall(Model):
    """The worst first; `counts` by state."""

    addons: list[Protection] = Field(default=[])
    counts: dict[str, int] = Field(default={})


class Objective(Model):
    max_age_minutes: int | None = None
    max_restore_minutes: int | None = None
    proven_within_days: int | None = None
    places: int | None = None


class Protections(Noun[R]):
    @call
    def wall(self, project: str | None = None) -> Steps[Wall]:
        """Every addon that the token sees, or those of one project."""
        query = {} if project is None else {"projectId": project}
        return parsed(Wall, (yield from get(path_of("protection"), query)))

    @call
    def get(self, project: str, addon: str) -> Steps[Protection]:
        """One addon, with its objective and its last 14 days."""
        path = path_of("projects", project, "addons", addon, "protection")
        return parsed(Protection, (yield from get(path)))

    @call
    def objective(self, project: str | None = None, addon: str | None = None) -> Steps[Objective]:
        """What was set for an addon, a project, or all of them."""
        return parsed(Objective, (yield from get(_objective_path(project, addon))))

    @call
    def set_objective(
        self, body: Body, project: str | None = None, addon: str | None = None
    ) -> Steps[Objective]:
        """Replaces it. `body`: maxAgeMinutes, maxRestoreMinutes, provenWithinDays, places."""
        return parsed(Objective, (yield from put(_objective_path(project, addon), body)))


def _objective_path(project: str | None, addon: str | None) -> str:
    if project is None:
        return path_of("objective")
    parts = ("projects", project) if addon is None else ("projects", project, "addons", addon)
    return path_of(*parts, "objective")
