"""`holdfast pitr`: times with a zone, and commits to pick from."""

import pytest
import typer

from fakes.scripted_api import ScriptedApi
from fixtures.http_api import Holdfast
from holdfast.cli.when import parse_moment
from holdfast.kit.clock import parse_rfc3339

NOW = parse_rfc3339("2026-11-30T14:30:00Z")
CHANGES = "/v1/projects/p/addons/a/archive/changes"
CHANGE = {
    "timestamp": "2026-11-30T14:03:12.004Z",
    "transaction": "28747",
    "position": "16/B374D848",
    "defines": True,
    "isWhole": False,
    "tables": [
        {"database": "shop", "table": "public.t", "inserted": 0, "updated": 2, "deleted": 3,
         "removed": True}
    ],
}  # fmt: skip

POINT = {
    "timestamp": "2026-11-30T14:03:13.004Z", "position": "16/B374D900", "defines": False,
    "isWhole": True, "tables": [], "name": "before release 41",
}  # fmt: skip


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("14:03Z", "2026-11-30T14:03:00+00:00"),
        ("14:31Z", "2026-11-29T14:31:00+00:00"),
        ("15:03:11.5+01:00", "2026-11-30T15:03:11.5+01:00"),
        ("2:03+11:00", "2026-11-30T02:03:00+11:00"),
        ("00:10+14:00", "2026-12-01T00:10:00+14:00"),
        ("2026-11-30T14:03:11+01:00", "2026-11-30T14:03:11+01:00"),
    ],
)
def test_a_time_of_day_is_the_last_one(text: str, moment: str) -> None:
    assert parse_moment("--around", text, NOW, "+01:00") == moment


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("14:03", "14:03 has no time zone: write 14:03Z for UTC, or 14:03+01:00 for this machine"),
        ("2026-11-30T14:03", "write 2026-11-30T14:03Z for UTC"),
        ("25:03Z", "25:03Z is no time of a day, such as 14:03Z"),
        ("noon", "noon is no time: write 14:03Z, or 2026-11-30T14:03:00Z"),
    ],
)
def test_what_is_no_time_is_told_how_to_write_one(text: str, problem: str) -> None:
    with pytest.raises(typer.BadParameter) as refused:
        parse_moment("--around", text, NOW, "+01:00")
    assert problem in refused.value.message


def test_commits_are_listed_with_the_way_back(holdfast: Holdfast, scripted: ScriptedApi) -> None:
    scripted.data("GET", CHANGES, {"changes": [{**CHANGE, "line": "c0ffee/00000001"}, POINT]})
    around = "2026-11-30T14:03:00Z"
    ran = holdfast("pitr", "find", "-p", "p", "-a", "a", "--around", around, "--table", "t")
    words = "shop.public.t ~2 -3 removed; definitions; (began before what was read"
    assert words in ran.out
    assert "the point 'before release 41'" in ran.out
    assert scripted.asked[0].query == {
        "around": around, "seconds": "60", "table": "t", "per_page": "100",
    }  # fmt: skip
    back = "-p p -a a --to-position POSITION --exclusive --line c0ffee/00000001"
    assert back in ran.err
