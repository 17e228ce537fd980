"""Which timelines a history file leads through, and up to where."""

import pytest

from holdfast.engines.postgresql.physical.following import ancestors


@pytest.mark.parametrize(
    ("history", "expected"),
    [
        ("", []),
        ("1\t0/3000000\tno recovery target specified\n", [("00000001", 0x3000000)]),
        (
            "1\t0/3000000\tpromoted\n\n2\t1/4000\tpromoted\n",
            [("00000001", 0x3000000), ("00000002", 0x1_00004000)],
        ),
        # A recovery along timeline 2 that stopped before 2 began.
        ("1\t0/3000000\tpromoted\n2\t0/2000000\tbefore LSN\n", [("00000001", 0x2000000)]),
        # Timeline 2 wrote nothing.
        ("1\t0/3000000\tpromoted\n2\t0/3000000\tpromoted\n", [("00000001", 0x3000000)]),
        (
            "1\t0/3000000\tx\n2\t0/5000000\tx\n3\t0/4000000\tx\n",
            [("00000001", 0x3000000), ("00000002", 0x4000000)],
        ),
    ],
)
def test_a_timeline_counts_up_to_where_its_successors_left_it(
    history: str, expected: list[tuple[str, int]]
) -> None:
    assert ancestors(history) == expected
