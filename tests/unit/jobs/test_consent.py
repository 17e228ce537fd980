"""How long the old data of a restore stays aside when the caller did not choose."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from holdfast.domain.differences import KEEP_OLD_HOURS
from holdfast.jobs.core.consent import keep_old_hours
from holdfast.jobs.core.job import Job


def job(chosen: int | None = None) -> Job:
    """Of an engine that has no undo of its own."""
    stub: Any = SimpleNamespace(
        parse=lambda _: SimpleNamespace(keep_old_hours=chosen), engine=object
    )
    return cast("Job", stub)


@pytest.mark.parametrize(
    ("deviates", "directories", "hours"),
    [(True, True, KEEP_OLD_HOURS), (True, False, 0), (False, True, 0)],
)
def test_old_data_is_kept_after_a_deviation_that_can_be_taken_back(
    deviates: bool, directories: bool, hours: int
) -> None:
    assert keep_old_hours(job(), deviates=deviates, directories=directories) == hours


def test_what_the_caller_chose_counts() -> None:
    assert keep_old_hours(job(3), deviates=False, directories=True) == 3
    assert keep_old_hours(job(0), deviates=True, directories=True) == 0
