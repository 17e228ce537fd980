"""Answers leave at once: the kernel does not hold them back to save packets."""

import time

from fixtures.holdfast import Api

HELD_BACK = 0.035
"""A little less than the 40 ms for which Linux delays an acknowledgement."""


def test_no_answer_waits_for_an_acknowledgement(api: Api) -> None:
    """A held back answer would be late every time, a busy machine is so only now and then."""
    taken: list[float] = []
    for _ in range(60):
        began = time.perf_counter()
        api.get("/projects", per_page=1)
        taken.append(time.perf_counter() - began)
    assert min(taken[30:]) < HELD_BACK
