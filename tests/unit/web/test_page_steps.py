"""What pages say of steps of long work is what the jobs do."""

import pytest

from holdfast.bootstrap import PLANS
from holdfast.domain.operation import Kind
from holdfast.web.showing.steps import STEPS, states


@pytest.mark.parametrize("kind", sorted(STEPS))
def test_the_steps_are_those_of_the_job(kind: Kind) -> None:
    assert [text.name for text in STEPS[kind]] == [step.name for step in PLANS[kind].steps]


def test_states_of_steps() -> None:
    def tones(finished: str | None, status: str) -> list[str]:
        return [state.tone for state in states(Kind.BACKUP, finished, status)]

    assert tones(None, "scheduled") == ["later"] * 4
    assert tones(None, "in-progress") == ["busy", "later", "later", "later"]
    assert tones("copy", "in-progress") == ["good", "good", "busy", "later"]
    assert tones("copy", "failed") == ["good", "good", "bad", "later"]
    assert tones("seal", "completed") == ["good"] * 4
