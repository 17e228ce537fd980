"""A ReadRoute answers what the framework's own route answers."""

from typing import Annotated

import pytest
from fastapi import APIRouter, Depends, FastAPI, Query, Request
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from starlette.testclient import TestClient

from holdfast.api.read_route import ReadRoute
from holdfast.api.v1.backups import backups

CALLS: list[str] = []


async def method_of(request: Request) -> str:
    CALLS.append("method")
    return request.method


async def caller_of(method: Annotated[str, Depends(method_of)], name: str | None = None) -> str:
    CALLS.append("caller")
    if name == "refused":
        raise PermissionError(name)
    return f"{method} by {name}"


async def team(team_id: str) -> None:
    CALLS.append(f"team {team_id}")


def client(route: type[APIRoute]) -> TestClient:
    router = APIRouter(route_class=route)

    @router.get("/p/{project}/a/{addon}")
    async def listed(
        caller: Annotated[str, Depends(caller_of)],
        method: Annotated[str, Depends(method_of)],
        project: str,
        addon: str,
        cursor: Annotated[str | None, Query(alias="from")] = None,
        size: Annotated[int, Query(alias="per_page", le=100)] = 50,
        kinds: Annotated[list[str] | None, Query()] = None,
    ) -> JSONResponse:
        return JSONResponse([caller, method, project, addon, cursor, size, kinds])

    app = FastAPI()
    app.include_router(router)
    app.include_router(router, prefix="/teams/{team_id}", dependencies=[Depends(team)])
    return TestClient(app)


@pytest.mark.parametrize(
    "path",
    [
        "/p/one/a/two",
        "/p/one/a/two?from=&name=me",
        "/p/one/a/two?from=a&from=b&unknown=1",
        "/p/%C3%A4/a/%20?name=%C3%A4",
        "/p/one/a/two?per_page=7&kinds=a&kinds=b",
        "/p/one/a/two?per_page=101",
        "/teams/ours/p/one/a/two?from=c",
    ],
)
def test_answers_and_calls_are_the_frameworks(path: str) -> None:
    answers = list[tuple[int, object, list[str]]]()
    for route in (APIRoute, ReadRoute):
        CALLS.clear()
        answer = client(route).get(path)
        answers.append((answer.status_code, answer.json(), CALLS.copy()))
    assert answers[0] == answers[1]
    assert ("team ours" in CALLS) == path.startswith("/teams")


def test_an_error_of_a_dependency_is_raised() -> None:
    with pytest.raises(PermissionError):
        client(ReadRoute).get("/p/one/a/two?name=refused")


def test_the_list_of_backups_is_planned() -> None:
    """A dependency that cannot be known beforehand would go unnoticed: it only is slower."""
    listed = next(route for route in backups.router.routes if isinstance(route, ReadRoute))
    assert listed.methods == {"GET"}
    assert listed.get_route_handler().__qualname__.startswith("ReadRoute.")
