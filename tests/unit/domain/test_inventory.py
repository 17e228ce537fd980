"""What a stored object is: ours only when a row says so, leftover only with proof."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.domain.artifact import attempt_prefix
from holdfast.domain.retention.store_check import (
    Class,
    RecordedBackup,
    Spot,
    classify,
    damage,
    neighbourhood,
    spot_of,
)

UID = "0f8fad5b-d9cb-469f-a165-70867728950e"
SPOT = Spot("shop", "db", UID, 2)
LIVE = RecordedBackup(
    folder=SPOT.folder, operation="op", status="completed", ended=7, attempts=2, has_row=True,
    present=True, going=False, published=frozenset({SPOT.prefix}),
)  # fmt: skip
OLDER = replace(SPOT, attempt=1)


def test_a_key_of_ours_is_read_back() -> None:
    key = f"{attempt_prefix('shop', 'db', UID, '2')}manifest.json"
    assert spot_of(key) == SPOT
    assert SPOT.prefix + "manifest.json" == key


@pytest.mark.parametrize(
    "key",
    [
        "other/shop/db/" + UID + "/2/x",
        "dumps/shop/db/" + UID + "/2",
        "dumps/shop/db/" + UID + "/02/x",
        "dumps/shop/db/" + UID + "/0/x",
        "dumps/shop/db/" + UID + "/x/x",
        "dumps/shop/db/" + UID.upper() + "/2/x",
        "dumps/shop/" + UID + "/2/x",
        "dumps/my shop/db/" + UID + "/2/x",
        "dumps/readme.txt",
    ],
)
def test_anything_else_is_not_of_our_shape(key: str) -> None:
    assert spot_of(key) is None
    assert classify(spot_of(key), None).kind is Class.FOREIGN


def test_the_published_attempt_is_live_and_an_older_one_a_leftover() -> None:
    assert classify(SPOT, LIVE).kind is Class.LIVE
    found = classify(OLDER, LIVE)
    assert found.kind is Class.LEFTOVER
    assert "operation op is over since 7 (completed)" in found.why
    assert SPOT.prefix in found.why


@pytest.mark.parametrize("status", ["scheduled", "in-progress", "aborting", None])
def test_what_is_not_over_is_left_alone(status: str | None) -> None:
    known = replace(LIVE, status=status, published=frozenset())
    assert classify(SPOT, known).kind is Class.MAKING


@pytest.mark.parametrize("status", ["failed", "aborted", "not-supported"])
def test_what_ended_without_publishing_is_a_leftover(status: str) -> None:
    found = classify(SPOT, replace(LIVE, status=status, published=frozenset()))
    assert found.kind is Class.LEFTOVER
    assert "published nothing" in found.why


def test_what_lies_where_a_copy_is_gone_is_a_leftover() -> None:
    found = classify(SPOT, replace(LIVE, present=False, published=frozenset()))
    assert (found.kind, "the copy here is gone" in found.why) == (Class.LEFTOVER, True)


def test_what_a_copy_elsewhere_published_is_never_swept() -> None:
    """Two destinations may be one bucket."""
    assert classify(SPOT, replace(LIVE, present=False)).kind is Class.LIVE


def test_what_a_deletion_is_at_is_left_to_it() -> None:
    assert classify(OLDER, replace(LIVE, going=True)).kind is Class.MAKING


@pytest.mark.parametrize(
    "known",
    [
        None,
        replace(LIVE, folder="dumps/shop/another/" + UID + "/"),
        replace(LIVE, has_row=False),
        replace(LIVE, attempts=1),
    ],
)
def test_whatever_no_row_knows_is_foreign(known: RecordedBackup | None) -> None:
    assert classify(SPOT, known).kind is Class.FOREIGN


@given(
    st.builds(
        RecordedBackup,
        folder=st.sampled_from([SPOT.folder, "dumps/x/y/z/"]),
        operation=st.just("op"),
        status=st.sampled_from(["scheduled", "in-progress", "aborting", "completed", "failed"]),
        ended=st.just(1),
        attempts=st.integers(0, 4),
        has_row=st.booleans(),
        present=st.booleans(),
        going=st.booleans(),
        published=st.frozensets(st.sampled_from([SPOT.prefix, OLDER.prefix])),
    ),
    st.integers(1, 4),
)
def test_nothing_is_swept_that_anything_speaks_for(known: RecordedBackup, attempt: int) -> None:
    spot = replace(SPOT, attempt=attempt)
    if classify(spot, known).kind is Class.LEFTOVER:
        assert spot.prefix not in known.published
        assert known.status in ("completed", "failed")
        assert known.folder == spot.folder
        assert known.has_row
        assert not known.going
        assert attempt <= known.attempts


def test_strangers_are_reported_by_folder_down_to_an_addons() -> None:
    for key, folder in (
        ("dumps/readme", "dumps/"),
        ("dumps/p/x", "dumps/p/"),
        ("dumps/p/a/x", "dumps/p/a/"),
        (f"dumps/p/a/{UID}/1/x", "dumps/p/a/"),
    ):
        assert neighbourhood(key) == folder


def test_damage_is_a_missing_object_or_another_size() -> None:
    whole = {"p/manifest.json": 9, "p/a.gz": 5}
    assert damage("p/", {"a.gz": 5}, whole) is None
    assert damage("p/", {"a.gz": 5}, {"p/a.gz": 5}) == "p/manifest.json is missing"
    assert damage("p/", {"a.gz": 5, "b.gz": 1}, whole) == "p/b.gz is missing"
    assert damage("p/", {"a.gz": 6}, whole) == "p/a.gz holds 5 bytes, 6 were proven"


def test_what_was_adopted_is_live_without_an_operation() -> None:
    adopted = replace(LIVE, operation=None, status=None, attempts=0)
    assert classify(SPOT, adopted).kind is Class.LIVE
    assert classify(OLDER, adopted).kind is Class.FOREIGN
    assert classify(SPOT, replace(adopted, going=True)).kind is Class.MAKING
