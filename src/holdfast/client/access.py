"""Calls for tokens and roles."""

from holdfast.client.models.models import Role, Token
from holdfast.client.transport.calls import Listing, Noun, R, Steps, call, delete, listing, post
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
    def delete(self, role: str) -> Steps[None]:
        yield from delete(path_of("roles", role))
