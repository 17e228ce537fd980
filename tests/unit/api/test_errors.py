"""What goes wrong becomes the one envelope; what we did not expect gives nothing away."""

import asyncio

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy.exc import OperationalError

from holdfast.domain.errors import (
    Conflict,
    Failure,
    Forbidden,
    Invalid,
    NotFound,
    SealBroken,
    StoreUnavailable,
    Unauthenticated,
)
from holdfast.http import errors


def answer_to(raised: Exception) -> tuple[int, dict[str, object]]:
    app = FastAPI()
    errors.install(app)

    @app.get("/")
    def fail() -> None:
        raise raised

    async def ask() -> httpx.Response:
        inside = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=inside, base_url="http://holdfast") as client:
            return await client.get("/")

    response = asyncio.run(ask())
    assert list(response.json()) == ["error"]
    assert response.json()["error"]["status"] == response.status_code
    return response.status_code, response.json()["error"]


@pytest.mark.parametrize(
    ("raised", "status"),
    [
        (Invalid("no", {"a": "b"}), 400),
        (Unauthenticated(), 401),
        (Forbidden(), 403),
        (NotFound(), 404),
        (Conflict("no", {"a": "b"}), 409),
        (SealBroken(), 409),
        (StoreUnavailable(), 503),
        (Failure(), 409),
    ],
)
def test_each_failure_has_its_status(raised: Failure, status: int) -> None:
    found, error = answer_to(raised)
    assert (found, error["id"]) == (status, raised.code)
    assert error["message"]
    if isinstance(raised, Invalid | Conflict):
        assert error["details"] == {"a": "b"}


def test_what_nobody_expected_is_a_500_without_its_text() -> None:
    status, error = answer_to(RuntimeError("password=hunter2"))
    assert (status, error["id"]) == (500, "internal")
    assert "hunter2" not in str(error)
    assert error["message"]


def test_a_catalogue_that_is_away_is_asked_again() -> None:
    lost = OperationalError("SELECT secret", None, RuntimeError("server closed"))
    status, error = answer_to(lost)
    assert (status, error["id"]) == (503, "catalog.away")
    assert "secret" not in str(error)
    assert "ask again" in str(error["message"])


@pytest.mark.parametrize(
    ("location", "path"),
    [
        (("body", "additionalDestinations", 0, "type"), "additionalDestinations[0].type"),
        (("query", "per_page"), "per_page"),
        (("body",), "body"),
    ],
)
def test_a_field_is_named_by_its_path(location: tuple[str | int, ...], path: str) -> None:
    assert errors.path_of(location) == path
