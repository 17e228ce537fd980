"""What makes the first start of a materialised directory begin a timeline of its own."""

from holdfast.contracts.snapshots import OTHERS
from holdfast.engines.postgresql.physical import timelines

FACTS = {"start": {"timeline": 2}, "end": {"timeline": 2}, "standby": False}


def test_numbers_that_the_addon_has_used_are_taken() -> None:
    others = [{"end": {"timeline": 3}}, {timelines.TIMELINE: 5}, {}, {"files": 7}]
    texts, appended = timelines.recovery_files({**FACTS, OTHERS: others})
    assert texts == {
        "recovery.signal": "",
        "pg_wal/00000003.history": "",
        "pg_wal/00000004.history": "",
        "pg_wal/00000005.history": "",
    }
    (settings,) = appended.values()
    lines = settings.splitlines()
    assert "recovery_target = 'immediate'" in settings
    assert "recovery_target_timeline = 'current'" in settings
    assert all(line.endswith("# until recovery has ended") for line in lines)


def test_of_a_standby_all_wal_is_replayed() -> None:
    """No record need follow the one that it is consistent at; and it may have changed timelines."""
    _, appended = timelines.recovery_files({**FACTS, "standby": True, "end": {"timeline": 3}})
    (settings,) = appended.values()
    assert "recovery_target = ''" in settings
    assert "recovery_target_timeline = '3'" in settings
