"""Answers about logs, tokens, roles and the installation."""

from holdfast.views.shapes.base import Shape


class LogLine(Shape):
    container_id: str
    log: str
    ts: str


class TokenView(Shape):
    id: str
    name: str
    role: str
    projects: list[str] | None = None
    created_at: str
    expires_at: str | None = None
    last_used_at: str | None = None
    revoked_at: str | None = None
    token: str | None = None


class TokenList(Shape):
    tokens: list[TokenView]


class RoleView(Shape):
    id: str
    name: str
    permissions: list[str]
    built_in: bool


class RoleList(Shape):
    roles: list[RoleView]


class About(Shape):
    name: str = "holdfast"
    version: str
    team: str
    node: str


class Team(Shape):
    id: str
    name: str


class TeamList(Shape):
    teams: list[Team]
