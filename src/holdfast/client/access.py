"""Calls for tokens, roles, users and their sessions."""

from holdfast.client.models.models import Role, Token, User, WebSession
from holdfast.client.transport.calls import (
    Listing,
    Noun,
    R,
    Steps,
    call,
    delete,
    get,
    listing,
    patch,
    post,
)
from holdfast.client.transport.parse import parsed
from holdfast.client.transport.transport import Body, path_of


class Tokens(Noun[R]):
    @listing
    def list(self) -> Listing[Token]:
        return Listing(Token, path_of("tokens"), "tokens")

    @call
    def create(self, body: Body) -> Steps[Token]:
        """Creates a token; this is the only answer with the token itself."""
        return parsed(Token, (yield from post(path_of("tokens"), body)))

    @call
    def revoke(self, token: str) -> Steps[None]:
        yield from delete(path_of("tokens", token))


class Roles(Noun[R]):
    @listing
    def list(self) -> Listing[Role]:
        return Listing(Role, path_of("roles"), "roles")

    @call
    def create(self, body: Body) -> Steps[Role]:
        return parsed(Role, (yield from post(path_of("roles"), body)))

    @call
    def update(self, role: str, body: Body) -> Steps[Role]:
        """Changes its name or permissions, at once for all who have it."""
        return parsed(Role, (yield from patch(path_of("roles", role), body)))

    @call
    def delete(self, role: str) -> Steps[None]:
        yield from delete(path_of("roles", role))


class Users(Noun[R]):
    @listing
    def list(self) -> Listing[User]:
        return Listing(User, path_of("users"), "users")

    @call
    def get(self, user: str) -> Steps[User]:
        return parsed(User, (yield from get(path_of("users", user))))

    @call
    def create(self, body: Body) -> Steps[User]:
        """Creates a user; without a password the answer has a link to choose one."""
        return parsed(User, (yield from post(path_of("users"), body)))

    @call
    def update(self, user: str, body: Body) -> Steps[User]:
        return parsed(User, (yield from patch(path_of("users", user), body)))

    @call
    def delete(self, user: str) -> Steps[None]:
        yield from delete(path_of("users", user))

    @call
    def reset_password(self, user: str, *, second_factors: bool = False) -> Steps[User]:
        """Ends the user's password and sessions; the answer has a link to choose another one."""
        body = {"secondFactors": second_factors}
        return parsed(User, (yield from post(path_of("users", user, "reset-password"), body)))


class WebSessions(Noun[R]):
    @listing
    def list(self) -> Listing[WebSession]:
        return Listing(WebSession, path_of("sessions"), "sessions")

    @call
    def end(self, session: str) -> Steps[None]:
        yield from delete(path_of("sessions", session))
