"""When the plan drills, what it takes, and what it foretells."""

from holdfast.domain.proof import drill
from holdfast.domain.units import DAY_MS


def test_a_restore_of_more_data_is_foretold_to_take_longer() -> None:
    assert drill.predicted_ms(60_000, 100, 250) == 150_000
    assert drill.predicted_ms(60_000, 100, 40) == 60_000, "what is fixed does not shrink"
    assert drill.predicted_ms(60_000, 0, 40) == 60_000


def test_drills_are_spread_within_the_objective() -> None:
    within, proven = 30 * DAY_MS, 1_000 * DAY_MS
    dues = {drill.due_at(f"addon {number}", 0, proven, within) for number in range(200)}
    assert len(dues) == 200
    assert max(dues) < proven + within, "there is time for a second try"
    assert max(dues) - min(dues) > 2 * DAY_MS
    assert min(dues) >= proven + within - 7 * DAY_MS


def test_every_fifth_is_an_older_one_and_every_third_an_instant() -> None:
    older = [number for number in range(15) if drill.takes_older(number)]
    instants = [number for number in range(15) if drill.takes_instant(number)]
    assert older == [4, 9, 14]
    assert instants == [2, 5, 8, 11]


def test_a_copy_needs_room_for_more_than_its_data() -> None:
    needed = drill.room_needed(10 << 30)
    assert needed > 12 << 30
    words = "12.2 GiB are needed for the throwaway copy, 1.0 GiB are free"
    assert drill.lacks_room(needed, 1 << 30) == words
