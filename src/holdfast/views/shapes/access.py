"""Answers about users and their sessions."""

from holdfast.views.shapes.base import Shape


class UserView(Shape):
    """`signsInWith` names what the user has: `password`, `code`, `passkey`, `single sign-on`.

    `passwordLink` is only in the answer that made it: who opens it chooses the password.
    """

    id: str
    name: str
    role: str
    projects: list[str] | None = None
    signs_in_with: list[str]
    passkeys: int
    provider: str | None = None
    created_at: str
    expires_at: str | None = None
    disabled_at: str | None = None
    last_seen_at: str | None = None
    password_link: str | None = None


class UserList(Shape):
    users: list[UserView]


class SessionView(Shape):
    """A signed-in browser. `by` is the name of its user or of the API token that opened it."""

    id: str
    by: str
    user_id: str | None = None
    token_id: str | None = None
    method: str
    address: str
    program: str
    created_at: str
    last_seen_at: str


class SessionList(Shape):
    sessions: list[SessionView]
