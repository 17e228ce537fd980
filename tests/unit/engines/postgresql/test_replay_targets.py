"""Targets of a recovery become the commit to stop after."""

from pathlib import Path
from typing import Any

import pytest

from holdfast.contracts.archive import Commit, Log, Stop, Target
from holdfast.contracts.snapshots import LOG_POSITION
from holdfast.domain.errors import RestoreDiffers
from holdfast.engines.postgresql.physical import wal_replay

BEFORE, FIRST, SECOND = Commit(5, 1, "9"), Commit(16, 100, "10"), Commit(32, 90, "11")


@pytest.fixture(autouse=True)
def listed(monkeypatch: pytest.MonkeyPatch) -> None:
    commits = [BEFORE, FIRST, SECOND]
    monkeypatch.setattr(wal_replay, "commits", lambda *_: commits)


def stop(**target: Any) -> Stop:
    base = {LOG_POSITION: {"end": 8}}
    log = Log(Path("/"), [("00000001", 0, 64)], 64)
    return wal_replay.settle_stop(Path("/"), "15", log, base, Target(**target))


NOTHING = Stop(None, inclusive=True, last=None, next=FIRST)
ONE = Stop(16, inclusive=True, last=FIRST, next=SECOND)
BOTH = Stop(32, inclusive=True, last=SECOND, next=None)


@pytest.mark.parametrize(
    ("position", "inclusive", "expected"),
    [(15, True, NOTHING), (16, False, NOTHING), (16, True, ONE), (31, True, ONE),
     (32, False, ONE), (32, True, BOTH), (60, True, BOTH)],
)  # fmt: skip
def test_a_position_keeps_what_committed_up_to_it(
    position: int, inclusive: bool, expected: Stop
) -> None:
    assert stop(position=position, inclusive=inclusive) == expected


def test_a_transaction_that_did_not_commit_is_an_error() -> None:
    assert stop(transaction="10", inclusive=False).last is None
    with pytest.raises(RestoreDiffers, match="transaction 12 did not commit in this log"):
        stop(transaction="12")


def test_only_an_lsn_is_a_position() -> None:
    assert wal_replay.parse_position("1/a") == (1 << 32) + 10
    for text in ("1", "1/", "x/1", "1/2/3", "123456789/1"):
        with pytest.raises(ValueError, match="16/B374D848"):
            wal_replay.parse_position(text)


def test_a_snapshot_knows_the_next_transaction() -> None:
    position = {"next": 200}
    assert [wal_replay.precedes(position, text) for text in ("199", "200", "9999")] == [
        False, True, True,
    ]  # fmt: skip
    assert wal_replay.precedes({"next": (1 << 32) - 5}, "3")  # behind the end of the circle
    assert not wal_replay.precedes({}, "200")
    with pytest.raises(ValueError, match="must be a number"):
        wal_replay.precedes(position, "0-1-1")


@pytest.mark.parametrize(
    ("positions", "problem"),
    [([], "no point is called 'x' in the log from 0/1 to 0/9"),
     ([7, 20], "2 points are called 'x': restore to the position of the one that is meant, 0/7, ")],
)  # fmt: skip
def test_a_name_must_be_in_the_log_once(positions: list[int], problem: str) -> None:
    with pytest.raises(RestoreDiffers, match=problem):
        wal_replay.single_point(positions, "x", [("00000001", 1, 5), ("00000001", 5, 9)])
