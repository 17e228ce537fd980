"""Expressions of strangers: the right lines, and an end to those that explode."""

import pytest

from holdfast.domain.errors import Invalid
from holdfast.kit.processes.search import matching


def test_it_says_which_texts_match() -> None:
    assert matching("^a+b$", ["aab", "b", "aabb", ""]) == [True, False, False, False]
    assert matching("ü|\n", ["Tür", "a\nb", "x"]) == [True, True, False]
    assert matching("x", []) == []


def test_it_gives_up_on_an_expression_that_explodes() -> None:
    with pytest.raises(Invalid, match="too long"):
        matching("(a+)+$", ["a" * 60 + "b"])
