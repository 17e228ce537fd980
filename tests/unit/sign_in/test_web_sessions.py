"""When a session is over, and for how long a sign-in counts as just made."""

from holdfast.domain.sign_in.sessions import FRESH_MS, IDLE_MS, LONGEST_MS, Lifetime

T = 1_800_000_000_000


def test_a_session_ends_when_idle_or_old() -> None:
    assert not Lifetime(T, T, T).is_over(T + IDLE_MS - 1)
    assert Lifetime(T, T, T).is_over(T + IDLE_MS)
    assert not Lifetime(T, T, T + LONGEST_MS - 10).is_over(T + LONGEST_MS - 1)
    assert Lifetime(T, T, T + LONGEST_MS - 10).is_over(T + LONGEST_MS)


def test_a_clock_set_back_prolongs_nothing() -> None:
    assert Lifetime(T, T, T).is_over(T - 3_600_000)
    assert not Lifetime(T, T, T).is_fresh(T - 1)


def test_a_sign_in_is_fresh_for_ten_minutes() -> None:
    assert Lifetime(T - 90_000_000, T, T).is_fresh(T + FRESH_MS - 1)
    assert not Lifetime(T - 90_000_000, T, T).is_fresh(T + FRESH_MS)
