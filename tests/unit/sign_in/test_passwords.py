"""Which passwords are refused, and with which word."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.domain.sign_in.passwords import problem_of


@pytest.mark.parametrize(
    ("password", "word"),
    [
        ("", "12 characters"),
        ("elf zeichen", "12 characters"),
        ("x" * 257, "at most 256"),
        ("aaaaaaaaaaaaaaaa", "again and again"),
        ("abcdeabcdeabcde", "again and again"),
        ("mara.mara.mara", "again and again"),
        ("maraschmidt1", "your name"),
        ("password1234", "guessed first"),
        ("P@ssw0rd2026!", "guessed first"),
        ("Winter2026!!!", "guessed first"),
        ("qwertyuiop12", "guessed first"),
        ("1qaz2wsx3edc", "guessed first"),
        ("holdfast-admin-1", "guessed first"),
        ("987654321098", "guessed first"),
        ("zyxwvutsrqponm", "guessed first"),
        ("correct horse battery staple", "guessed first"),
    ],
)
def test_guessable_passwords_are_refused(password: str, word: str) -> None:
    problem = problem_of(password, "Mara Schmidt")
    assert problem is not None
    assert word in problem


@pytest.mark.parametrize(
    "password",
    [
        "anker sieben lampe rost",
        "Tr0ub4dor&3 is not it",
        "gnarled-umbel-ocean",
        "3f9a1c7e5b2d",
        "dragon cheese batman cookie",
        "ключ от моря и неба",
        "水曜日の朝に雨が降るでしょう",
        "mara writes to the lighthouse",
    ],
)
def test_long_ones_that_are_made_up_will_do(password: str) -> None:
    assert problem_of(password, "mara") is None


@given(st.text(max_size=300), st.text(max_size=40))
def test_any_text_is_judged(password: str, name: str) -> None:
    problem = problem_of(password, name)
    assert problem is None or problem.startswith("must")
