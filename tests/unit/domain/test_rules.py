"""Versions, statuses shown, evidence, permissions, places in a store, and amounts."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.domain import evidence
from holdfast.domain.access import ALL, BUILT_IN, Caller, Permission, unknown_permissions
from holdfast.domain.addon import AddonStatus, is_newer_minor, pick_version, shown_status
from holdfast.domain.artifact import (
    FORMAT,
    Manifest,
    StoredMember,
    attempt_prefix,
    backup_prefix,
)
from holdfast.domain.units import show_bytes

AVAILABLE = ["18.1", "17.6", "17.5", "15.18", "10.11.14", "10.6.25"]


def series(version: str) -> str:
    return version.partition(".")[0]


@pytest.mark.parametrize(
    ("wanted", "picked"),
    [
        ("latest", "18.1"),
        ("", "18.1"),
        ("17-latest", "17.6"),
        ("17", "17.6"),
        ("17.5", "17.5"),
        ("15.18", "15.18"),
        ("16", None),
        ("17.4", None),
        ("1", None),
        ("latest-latest", None),
        ("10.11", "10.11.14"),
        ("10-latest", "10.11.14"),
        ("10.1", None),
    ],
)
def test_a_version_is_picked_from_what_there_is(wanted: str, picked: str | None) -> None:
    assert pick_version(wanted, AVAILABLE) == picked
    assert pick_version(wanted, []) is None


@given(st.integers(1, 30), st.integers(0, 50), st.integers(0, 50))
def test_a_newer_minor_is_of_the_same_major(major: int, one: int, other: int) -> None:
    assert is_newer_minor(f"{major}.{one}", f"{major}.{other}", series) == (one > other)
    assert not is_newer_minor(f"{major + 1}.{one}", f"{major}.{other}", series)


def test_only_a_running_addon_shows_what_is_done_to_it() -> None:
    assert shown_status(AddonStatus.RUNNING, "backup") is AddonStatus.BACKUP
    assert shown_status(AddonStatus.RUNNING, "restore") is AddonStatus.RESTORE
    for busy in (None, "pause", "anything"):
        assert shown_status(AddonStatus.RUNNING, busy) is AddonStatus.RUNNING
    for status in set(AddonStatus) - {AddonStatus.RUNNING}:
        assert shown_status(status, "backup") is status


def test_every_process_must_be_known_and_have_ended_well() -> None:
    good = {"program": "pg_dump", "exitStatus": 0}
    assert evidence.exit_statuses("m", [good]).passed
    assert evidence.exit_statuses("m", []).passed  # none was needed
    assert not evidence.exit_statuses("m", None).passed
    for status in (1, -9, None, "0"):
        assert not evidence.exit_statuses("m", [good, {**good, "exitStatus": status}]).passed


@given(st.integers(0, 10**6))
def test_a_dump_below_the_floor_is_no_dump(size: int) -> None:
    assert evidence.size_floor("m", size).passed == (size >= evidence.SMALLEST_MEMBER)


@given(st.tuples(st.integers(0, 9), st.text()), st.tuples(st.integers(0, 9), st.text()))
def test_what_is_read_back_must_be_what_was_written(
    written: tuple[int, str], read: tuple[int, str]
) -> None:
    assert evidence.read_back("m", written, read).passed == (written == read)


@given(st.integers(0, 99), st.integers(0, 99))
def test_every_counted_table_must_be_in_the_archive(archived: int, counted: int) -> None:
    assert evidence.tables_covered("m", archived, counted).passed == (archived >= counted)


def test_what_is_missing_is_named() -> None:
    checks = [evidence.size_floor("small", 1), evidence.size_floor("large", 1000)]
    (missing,) = evidence.missing(checks)
    assert missing.document() == {
        "name": "size of small",
        "passed": False,
        "found": "1 bytes, at least 64 wanted",
    }


def test_roles_hold_less_and_less() -> None:
    assert BUILT_IN["owner"] == ALL > BUILT_IN["admin"] > BUILT_IN["default"]
    assert not any(p.endswith("Delete") for p in BUILT_IN["default"])
    assert unknown_permissions([*ALL, "Project > Everything"]) == ["Project > Everything"]


@given(st.sets(st.sampled_from(Permission)), st.sampled_from(Permission))
def test_a_caller_may_what_it_holds(held: set[Permission], wanted: Permission) -> None:
    caller = Caller("t", "n", "r", frozenset(held), None)
    assert caller.may(wanted) == (wanted in held)
    assert caller.sees("anything")


@given(st.sets(st.text()), st.text())
def test_a_restricted_caller_sees_only_its_projects(projects: set[str], wanted: str) -> None:
    caller = Caller("t", "n", "r", ALL, frozenset(projects))
    assert caller.sees(wanted) == (wanted in projects)


def test_no_attempt_lies_within_another() -> None:
    """Clearing attempt 1 must not touch attempt 10."""
    places = [attempt_prefix("p", "a", "u", str(n)) for n in (1, 10, 11, 2)]
    for place in places:
        assert place.startswith(backup_prefix("p", "a", "u"))
        assert [other for other in places if other.startswith(place)] == [place]


def test_a_manifest_says_its_format_and_size() -> None:
    member = StoredMember("m", "m.zst", "archive", "db", 10, "aa", 4, "bb", {"tables": 1})
    manifest = Manifest({}, "postgresql", "15", "zstd", "now", [member, member], {}, {}, "own")
    document = json.loads(json.dumps(manifest.document()))
    assert document["format"] == FORMAT
    assert document["members"][0]["stored_sha256"] == "bb"
    assert manifest.size == 8


@pytest.mark.parametrize(
    ("count", "shown"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (1536, "1.5 KiB"),
        (5 << 20, "5.0 MiB"),
        (3 << 30, "3.0 GiB"),
        (2 << 40, "2.0 TiB"),
        (5000 << 40, "5000.0 TiB"),
    ],
)
def test_bytes_as_people_read_them(count: int, shown: str) -> None:
    assert show_bytes(count) == shown
