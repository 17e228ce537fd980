"""P1 to P6."""

from typing import Any

import pytest

from fixtures.holdfast import Api, fresh

pytestmark = pytest.mark.sqlite_first


def test_the_life_of_a_project(api: Api) -> None:
    name = fresh("My App")
    identifier = name.lower().replace(" ", "-")
    sent = {"name": name, "description": "What it is: (a) test!", "color": "#57a1a9"}
    made = api.post("/projects", {**sent, "region": "europe-west"}).data
    assert made.items() >= {**sent, "id": identifier, "region": "europe-west"}.items()
    assert made["createdAt"].endswith("Z")

    shown = api.get(f"/projects/{identifier}").data
    assert shown["deployment"] == {"region": "europe-west"}
    assert (shown["services"], shown["jobs"], shown["addons"]) == ([], [], [])
    assert set(shown["cluster"]) == {"id", "name"}

    changed = api.patch(f"/projects/{identifier}", {"description": "Other", "color": "#abc"}).data
    assert (changed["description"], changed["color"], changed["name"]) == ("Other", "#abc", name)
    renamed = api.patch(f"/projects/{identifier}", {"name": "Renamed"}).data
    assert (renamed["id"], renamed["name"]) == (identifier, "Renamed")

    assert api.delete(f"/projects/{identifier}").data == {}
    assert api.get(f"/projects/{identifier}").status == 404


def test_put_creates_and_then_updates(api: Api) -> None:
    name = fresh("Put")
    first = api.put("/projects", {"name": name, "description": "one"}).data
    second = api.put("/projects", {"name": name, "description": "two"}).data
    assert (first["id"], second["description"]) == (second["id"], "two")
    assert first["createdAt"] == second["createdAt"]


def test_a_taken_identifier_is_a_409(api: Api) -> None:
    name = fresh("Taken")
    api.post("/projects", {"name": name})
    answer = api.post("/projects", {"name": name.upper()})
    assert (answer.status, "name" in answer.details) == (409, True)


def test_unknown_keys_are_ignored_here(api: Api) -> None:
    assert api.post("/projects", {"name": fresh("Net"), "networking": {"a": 1}}).status == 200


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", "ab"),
        ("name", "a" * 40),
        ("name", "1abc"),
        ("name", "a--b"),
        ("name", "a_b"),
        ("name", "abc-"),
        ("name", "abc\n"),
        ("name", "x; rm -rf /"),
        ("name", "$(reboot)"),
        ("name", "`id`"),
        ("name", "../../etc"),
        ("name", "näme"),
        ("name", 7),
        ("name", None),
        ("description", "x" * 201),
        ("description", "<script>"),
        ("description", "a$b"),
        ("color", "#12"),
        ("color", "red"),
        ("color", "#12345g"),
        ("color", "#123456\n"),
        ("region", "r" * 61),
    ],
)
def test_a_value_outside_its_pattern_is_named(api: Api, field: str, value: Any) -> None:
    answer = api.post("/projects", {"name": fresh("Bad"), field: value})
    assert answer.status == 400
    assert answer.details.keys() == {field}
    assert field in answer.error["message"]


def test_all_failing_fields_are_named_at_once(api: Api) -> None:
    answer = api.post("/projects", {"name": "!", "color": "x", "description": "$"})
    assert answer.details.keys() == {"name", "color", "description"}


def test_delete_child_objects_must_be_a_boolean(api: Api) -> None:
    answer = api.delete(f"/projects/{api.project()}", delete_child_objects="maybe")
    assert (answer.status, list(answer.details)) == (400, ["delete_child_objects"])
