"""Answers that begin before their work ends."""

import asyncio
import json
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from holdfast.api import late_answers
from holdfast.api.late_answers import answer_late
from holdfast.client import Conflict as ClientConflict
from holdfast.client.transport.transport import opened
from holdfast.domain.errors import Conflict
from holdfast.http import answers, errors
from holdfast.views.shapes.base import Empty


def ask(seconds: float, problem: Exception | None = None) -> httpx.Response:
    """The answer of work that takes so long."""
    app = FastAPI()
    errors.install(app)

    async def work() -> Response:
        await asyncio.sleep(seconds)
        if problem is not None:
            raise problem
        return await run_in_threadpool(answers.one, Empty())

    @app.get("/")
    async def route(request: Request) -> Any:
        return await answer_late(request, asyncio.ensure_future(work()))

    async def talk() -> httpx.Response:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
            return await client.get("/")

    return asyncio.run(talk())


def test_what_ends_soon_is_answered_as_ever() -> None:
    answer = ask(0)
    assert answer.content == b'{"data":{}}'
    assert "content-length" in answer.headers
    assert ask(0, Conflict("busy")).status_code == 409


def test_what_takes_longer_begins_with_blanks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(late_answers, "PATIENCE_SECONDS", 0.05)
    answer = ask(0.3)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == answers.MEDIA
    assert answer.content.startswith(b"\n\n")
    assert json.loads(answer.content) == {"data": {}}
    assert opened(answer).data == {}


def test_a_late_error_is_raised_by_the_client(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(late_answers, "PATIENCE_SECONDS", 0.05)
    answer = ask(0.3, Conflict("busy"))
    assert answer.status_code == 200
    with pytest.raises(ClientConflict, match="busy") as raised:
        opened(answer)
    assert raised.value.status == 409
