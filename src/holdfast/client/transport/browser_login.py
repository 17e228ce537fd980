"""Asks for a token over a socket, while the user decides in a browser."""

import json
from collections.abc import Callable
from typing import Any, cast

from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidURI
from websockets.sync.client import ClientConnection, connect

from holdfast.client.transport.errors import Answer, Unauthenticated
from holdfast.client.transport.transport import user_agent
from holdfast.kit.seal import Secret


class NoBrowserLogin(Exception):
    """The server has no such socket, or cannot be reached by one."""


def browser_login(host: str, show: Callable[[str], None]) -> Secret:
    """Returns the token. `show` gets the link for the browser.

    Raises NoBrowserLogin before there is a link, Unauthenticated when the user refuses.
    """
    url = f"{host.replace('http', 'ws', 1)}/v1/cli-login"
    try:
        socket = connect(url, user_agent_header=user_agent())
    except (OSError, InvalidHandshake, InvalidURI) as error:
        raise NoBrowserLogin(str(error)) from error
    with socket:
        try:
            return _talk(socket, show)
        except KeyboardInterrupt:
            socket.send(json.dumps({"type": "aborted"}))
            raise
        except ConnectionClosed as error:
            raise Unauthenticated(Answer(0, "the server ended the login")) from error


def _talk(socket: ClientConnection, show: Callable[[str], None]) -> Secret:
    socket.send(json.dumps({"type": "init"}))
    linked = False
    while True:
        try:
            document: object = json.loads(socket.recv())
        except ValueError as error:
            raise NoBrowserLogin("the server sent something that is not JSON") from error
        frame = cast("dict[str, Any]", document) if isinstance(document, dict) else {}
        match frame.get("type"):
            case "init-ack":
                linked = True
                show(str(frame.get("loginPage", "")))
            case "login-success":
                return Secret(str(frame.get("apiToken", "")))
            case "login-failure" if not linked:
                raise NoBrowserLogin(str(frame.get("message", "")))
            case "login-failure":
                raise Unauthenticated(Answer(401, str(frame.get("message", ""))))
            case _:
                raise NoBrowserLogin("the server sent a frame of an unknown type")
