"""Every route of the dashboard: what is posted needs a token, and other projects stay unseen."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from fastapi.routing import APIRoute

from fixtures.dashboard import Shop, open_shop
from fixtures.holdfast import await_that
from fixtures.visitors import Visitor, make_user
from holdfast.web.app import PAGES

ROUTES = [route for router in PAGES for route in router.routes if isinstance(route, APIRoute)]
DOORS = {"/signin", "/signin/code", "/signin/token", "/signin/single", "/signin/passkey"}
DOORS |= {"/welcome", "/setup"}
"""Forms of browsers without a session, which have no token."""
POSTED = sorted(
    (method, route.path) for route in ROUTES for method in route.methods - {"GET", "HEAD"}
)
READ = sorted(route.path for route in ROUTES if "GET" in route.methods)
_PARAMETER = re.compile(r"{(\w+)(:\w+)?}")
FOREIGN = "Quokka", "zebra", "/srv/foreign"


@dataclass
class Places:
    """The ids of things of one project, by the names of parameters in paths."""

    ids: dict[str, str]

    def path(self, template: str) -> str:
        return _PARAMETER.sub(lambda match: self.ids.get(match[1], "x"), template)


@pytest.fixture(scope="module")
def shop() -> Iterator[Shop]:
    with open_shop() as shop:
        yield shop


def make_project(shop: Shop, name: str, addon: str) -> Places:
    """A project with one of everything."""
    project = shop.api.post("/projects", {"name": name}).data["id"]
    path = shop.attach(project, addon)
    scheduling = {"interval": "hourly", "minute": [0]}
    schedule = {"backupType": "dump", "scheduling": scheduling, "retentionTime": 7}
    shop.api.post(f"{path}/backup-schedules", schedule)
    (planned,) = shop.api.get(f"{path}/backup-schedules").data["schedules"]
    backup = shop.back_up(path)
    drill = shop.api.post(f"{path}/drills", {}).data["drillId"]
    await_that(lambda: "verdict" in shop.api.get(f"{path}/drills/{drill}").data)
    shop.installation.restore(f"{path}/backups/{backup}")
    (restore,) = shop.api.get(f"{path}/restores").data["restores"]
    ids = {"project": project, "addon": addon, "backup": backup, "schedule": planned["id"]}
    ids |= {"drill": drill, "restore": restore["id"]}
    return Places(ids | {f"{noun}_id": value for noun, value in ids.items()})


@pytest.mark.parametrize(("method", "template"), POSTED)
def test_nothing_is_posted_without_a_token(shop: Shop, method: str, template: str) -> None:
    visitor, path = Visitor(shop.server), Places({}).path(template)
    visitor.sign_in_with_token(shop.server.token)

    def status(headers: dict[str, str] | None = None, **fields: str) -> int:
        offset = {"offset": "0"}  # parts of uploads name theirs
        request = visitor.http.request(method, path, params=offset, headers=headers, data=fields)
        return request.status_code

    token = visitor.csrf("/")
    assert status({"sec-fetch-site": "cross-site", "x-csrf-token": token}, csrf=token) == 403
    if template not in DOORS:
        assert status() == 403
        assert status(csrf="0" * 64) == 403
    del visitor.http.headers["sec-fetch-site"]
    assert status({"x-csrf-token": token}) == 403, "without a word about where it comes from"


def test_one_who_is_restricted_to_a_project_sees_no_other(shop: Shop) -> None:
    foreign, own = make_project(shop, "Quokka", "zebra"), make_project(shop, "Own", "orders")
    shop.api.post("/projects/quokka/addons/zebra/backups", {"backupType": "dump"})
    name = make_user(shop.server, role="owner", projects=["own"])
    visitor = Visitor(shop.server)
    assert visitor.sign_in(name).status_code == 303
    mixed = Places({**foreign.ids, **{key: own.ids[key] for key in ("project", "addon")}})
    mixed.ids |= {f"{key}_id": own.ids[key] for key in ("project", "addon")}
    problems: list[str] = []
    for template in READ:
        takes_project = "{project" in template
        if template != "/live":
            for form in ("", "?format=csv", "?format=json"):
                problems += _seen(visitor, own.path(template) + form, strict=True)
        if takes_project and "{" in template:
            problems += _refused(visitor, foreign.path(template))
            if template.count("{") > 2:
                problems += _refused(visitor, mixed.path(template))
    for path in ("/?project=quokka", "/find?q=zebra", "/activity?project=quokka"):
        problems += _seen(visitor, path, strict=False)
    for path in ("/retention?addon=quokka/zebra", "/addons/new?fork=quokka/zebra"):
        problems += _seen(visitor, path, strict=False)
    assert problems == []


def _seen(visitor: Visitor, path: str, *, strict: bool) -> list[str]:
    """What a page shows of the other project. Not `strict`: the address itself names it."""
    with visitor.http.stream("GET", path) as answer:
        if answer.headers.get("content-type", "").startswith("text/event-stream"):
            return []
        text = answer.read().decode(errors="replace")
    words = FOREIGN if strict else ("Quokka", "zebra-", "/p/quokka/zebra")
    problems = [f"{path} shows {word}" for word in words if word in text]
    return problems + ([f"{path}: {answer.status_code}"] if answer.status_code >= 500 else [])


def _refused(visitor: Visitor, path: str) -> list[str]:
    with visitor.http.stream("GET", path) as answer:
        if answer.status_code in (403, 404):
            return []
        return [f"{path}: {answer.status_code} {answer.headers.get('location', '')}"]
