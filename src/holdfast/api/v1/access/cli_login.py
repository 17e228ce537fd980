"""The socket on which a command line waits for a token, in the frames of the official one."""

import asyncio
import json
from contextlib import suppress
from functools import partial
from typing import Any, cast
from urllib.parse import quote

from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool
from starlette.types import Message
from starlette.websockets import WebSocket, WebSocketDisconnect

from holdfast.catalog.access import cli_logins as rows
from holdfast.domain.errors import Refused
from holdfast.http.arrival import address_of
from holdfast.http.errors import envelope
from holdfast.http.limits.live_logs import Full
from holdfast.http.state import Api, of
from holdfast.kit.seal import Secret
from holdfast.usecases.access import cli_logins as verbs

router = APIRouter(tags=["users and sessions"])

_POLL_SECONDS = 0.5
_FIRST_FRAME_SECONDS = 10
Frame = dict[str, str]


@router.websocket("/cli-login")
async def cli_login(socket: WebSocket) -> None:
    """Sends a link for the user's browser, then what its user decided there."""
    try:
        with of(socket).tails.one():
            await socket.accept()
            await _serve(socket)
    except Full as error:
        await socket.send_denial_response(envelope(error.status, error.message, error.code))
    except WebSocketDisconnect:
        return


async def _serve(socket: WebSocket) -> None:
    api, link = of(socket), verbs.new_link()
    try:
        async with asyncio.timeout(_FIRST_FRAME_SECONDS):
            if _type_of(await socket.receive()) != "init":
                return await _end(socket, "the first frame must be an init")
    except TimeoutError:
        return await _end(socket, "no init was sent in time")
    if not getattr(socket.app.state, "has_dashboard", False):
        return await _end(socket, "there is no dashboard here: log in with an API token")
    try:
        await run_in_threadpool(_begin, socket, link)
        await _send(socket, {"type": "init-ack", "loginPage": _page_of(socket, link)})
        await _await_answer(socket, link)
    except Refused as error:
        await _end(socket, error.message)
    finally:

        def forget() -> None:
            with api.catalog.write() as session:
                rows.forget(session, rows.digest_of(link))

        await asyncio.shield(asyncio.create_task(run_in_threadpool(forget)))


def _begin(socket: WebSocket, link: Secret) -> None:
    api = of(socket)
    program = socket.headers.get("user-agent", "a program that does not say its name")
    with api.catalog.write() as session:
        verbs.begin(session, link, address_of(socket), program, api.clock.now())


def _page_of(socket: WebSocket, link: Secret) -> str:
    scheme = "https" if socket.url.scheme == "wss" else "http"
    base = of(socket).public_url or f"{scheme}://{socket.url.netloc}"
    return f"{base}/cli-login?sessionToken={quote(link.reveal())}"


async def _await_answer(socket: WebSocket, link: Secret) -> None:
    """Returns when the answer was sent, or the client gave up."""
    api = of(socket)
    hangup = asyncio.create_task(_await_end(socket))
    try:
        while not hangup.done():
            frame = await api.turns.run(partial(_answer_of, api, link))
            if frame is not None:
                await _send(socket, frame)
                await socket.close(1000)
                return
            await asyncio.wait({hangup}, timeout=_POLL_SECONDS)
    finally:
        hangup.cancel()


async def _await_end(socket: WebSocket) -> None:
    """Returns when the client leaves, or says that its user pressed Ctrl-C."""
    with suppress(WebSocketDisconnect):
        while _type_of(await socket.receive()) != "aborted":
            pass


def _answer_of(api: Api, link: Secret) -> Frame | None:
    """The last frame, once it is known which."""
    with api.catalog.read() as session:
        row = rows.of_digest(session, rows.digest_of(link))
        if row is not None and row.answer == verbs.GIVEN:
            sealed, context = row.sealed_token or "", row.context or ""
            token = api.services.sealer.open(sealed, f"cli login {row.digest}")
            return {
                "type": "login-success",
                "apiToken": token.reveal(),
                "contextName": context,
            }
        if row is not None and row.answer == verbs.REFUSED:
            return _failure("the login was refused in the browser")
        if row is None or row.expires <= api.clock.now():
            return _failure("the link was not answered within five minutes; please try again")
    return None


def _failure(message: str) -> Frame:
    return {"type": "login-failure", "message": message}


async def _end(socket: WebSocket, message: str) -> None:
    await _send(socket, _failure(message))
    await socket.close(1000)


def _type_of(message: Message) -> str:
    """The type of a frame, which the official client sends as bytes. Raises WebSocketDisconnect."""
    if message["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(message["code"])
    try:
        document = json.loads(message.get("text") or message.get("bytes") or "")
    except (ValueError, RecursionError):
        return ""
    return str(cast("dict[str, Any]", document).get("type")) if isinstance(document, dict) else ""


async def _send(socket: WebSocket, frame: Frame) -> None:
    await socket.send_text(json.dumps(frame))
