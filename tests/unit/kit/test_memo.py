"""A result is used again exactly as long as what it was made of is equal."""

from holdfast.kit.cache import Memo


class Maker:
    def __init__(self) -> None:
        self.made: list[list[int]] = []

    def __call__(self, facts: list[int]) -> int:
        self.made.append(facts)
        return sum(facts)


def test_equal_facts_are_used_again_and_others_are_not() -> None:
    maker = Maker()
    memo = Memo(maker, 10)
    assert [memo.of("a", [1, 2]), memo.of("a", [1, 2]), memo.of("b", [1, 2])] == [3, 3, 3]
    assert maker.made == [[1, 2], [1, 2]]
    assert memo.of("a", [1, 3]) == 4
    assert memo.of("a", [1, 2]) == 3, "only the last one is kept"
    assert len(maker.made) == 4


def test_it_holds_so_many_and_no_more() -> None:
    maker = Maker()
    memo = Memo(maker, 3)
    assert [memo.of(number, [number]) for number in range(4)] == [0, 1, 2, 3]
    assert [memo.of(3, [3]), memo.of(0, [0])] == [3, 0]
    assert maker.made == [[0], [1], [2], [3], [0]]
