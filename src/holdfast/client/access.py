"""Tokens and roles."""

from collections.abc import Iterator

from holdfast.client.models import Role, Token
from holdfast.client.parse import parsed, parsed_all
from holdfast.client.transport import Body, Transport, path_of


class Tokens:
    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def list(self) -> Iterator[Token]:
        return parsed_all(Token, self._transport.items(path_of("tokens"), "tokens"))

    def create(self, body: Body) -> Token:
        """The only answer that holds the token itself."""
        return parsed(Token, self._transport.post(path_of("tokens"), body))

    def revoke(self, token: str) -> None:
        self._transport.delete(path_of("tokens", token))


class Roles:
    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def list(self) -> Iterator[Role]:
        return parsed_all(Role, self._transport.items(path_of("roles"), "roles"))

    def create(self, body: Body) -> Role:
        return parsed(Role, self._transport.post(path_of("roles"), body))

    def delete(self, role: str) -> None:
        self._transport.delete(path_of("roles", role))
