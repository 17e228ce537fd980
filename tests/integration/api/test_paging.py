"""Cursor paging: newest first, stable under inserts, and the ways to get it wrong."""

import re
from collections.abc import Callable

import pytest

from fixtures.holdfast import Answer, Api

pytestmark = pytest.mark.sqlite_first


def names(answer: Answer) -> list[str]:
    return [project["id"] for project in answer.data["projects"]]


@pytest.fixture
def five(api: Api, token_of: Callable[..., Api]) -> tuple[Api, list[str]]:
    """A token that sees exactly five projects, and these, newest first."""
    made = [api.project("Page") for _ in range(5)]
    return token_of("default", projects=made), made[::-1]


def test_pages_are_newest_first_and_end_without_a_cursor(five: tuple[Api, list[str]]) -> None:
    api, wanted = five
    first = api.get("/projects", per_page=2)
    assert names(first) == wanted[:2]
    assert first.pagination.keys() == {"hasNextPage", "count", "cursor"}
    assert (first.pagination["hasNextPage"], first.pagination["count"]) == (True, 2)
    assert re.fullmatch("[0-9a-f]{24}", first.pagination["cursor"])
    second = api.get("/projects", per_page=2, cursor=first.pagination["cursor"])
    assert names(second) == wanted[2:4]
    last = api.get("/projects", per_page=2, cursor=second.pagination["cursor"])
    assert names(last) == wanted[4:]
    assert last.pagination == {"hasNextPage": False, "count": 1}


def test_a_full_last_page_has_no_cursor_either(five: tuple[Api, list[str]]) -> None:
    api, wanted = five
    only = api.get("/projects", per_page=5)
    assert (names(only), only.pagination) == (wanted, {"hasNextPage": False, "count": 5})


def test_what_is_new_does_not_shift_the_pages(api: Api) -> None:
    first = api.get("/projects", per_page=1)
    following = names(api.get("/projects", per_page=1, cursor=first.pagination["cursor"]))
    for _ in range(3):
        api.project("New")
    again = names(api.get("/projects", per_page=1, cursor=first.pagination["cursor"]))
    assert following == again


def test_deleting_the_row_of_a_cursor_does_not_break_it(five: tuple[Api, list[str]]) -> None:
    api, wanted = five
    first = api.get("/projects", per_page=2)
    owner = api.based("/v1")
    assert owner.get(f"/projects/{wanted[1]}").status == 200
    rest = api.get("/projects", per_page=9, cursor=first.pagination["cursor"])
    assert names(rest) == wanted[2:]


def test_the_cursor_beats_the_page(five: tuple[Api, list[str]]) -> None:
    api, wanted = five
    cursor = api.get("/projects", per_page=2).pagination["cursor"]
    assert names(api.get("/projects", per_page=2, page=1, cursor=cursor)) == wanted[2:4]


def test_pages_by_number(five: tuple[Api, list[str]]) -> None:
    api, wanted = five
    assert names(api.get("/projects", per_page=2, page=2)) == wanted[2:4]
    assert names(api.get("/projects", per_page=2, page=3)) == wanted[4:]
    assert names(api.get("/projects", per_page=2, page=4)) == []


def test_sizes_above_a_hundred_become_a_hundred(api: Api) -> None:
    assert api.get("/projects", per_page=1000).status == 200


@pytest.mark.parametrize("value", ["0", "-1", "x", "1.5", "", "١", "1e3", "9" * 30, " 1", "+1"])
@pytest.mark.parametrize("name", ["per_page", "page"])
def test_a_number_that_is_none_is_named(api: Api, name: str, value: str) -> None:
    answer = api.get("/projects", **{name: value})
    assert (answer.status, list(answer.details)) == (400, [name])


@pytest.mark.parametrize(
    "cursor",
    ["", "x", "0" * 24, "f" * 24, "G" * 24, "0" * 23, "ab" * 500, "%00", "null", "ABCDEF" * 4],
)
def test_a_forged_cursor_is_a_400(api: Api, cursor: str) -> None:
    for path in ("/projects", "/backup-destinations", "/tokens"):
        answer = api.get(path, cursor=cursor)
        assert (answer.status, list(answer.details)) == (400, ["cursor"])


def test_a_cursor_of_another_list_is_a_400(api: Api) -> None:
    api.project()
    api.project()
    cursor = api.get("/projects", per_page=1).pagination["cursor"]
    assert api.get("/tokens", cursor=cursor).status == 400
    assert api.get("/backup-destinations", cursor=cursor).status == 400


def test_a_list_has_exactly_one_key(api: Api) -> None:
    project = api.project()
    for path, key in (
        ("/projects", "projects"),
        (f"/projects/{project}/addons", "addons"),
        ("/backup-destinations", "backupDestinations"),
        ("/tokens", "tokens"),
        ("/roles", "roles"),
        ("/teams", "teams"),
    ):
        answer = api.get(path)
        assert list(answer.data) == [key]
        assert answer.pagination["count"] == len(answer.data[key])


def test_an_empty_list_is_a_page_too(api: Api) -> None:
    answer = api.get(f"/projects/{api.project()}/addons")
    assert answer.body == {"data": {"addons": []}, "pagination": {"hasNextPage": False, "count": 0}}
