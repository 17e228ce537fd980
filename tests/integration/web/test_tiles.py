"""The tiles that are kept for a second: used again, never across rights or editions."""

from dataclasses import dataclass, replace

from fixtures.in_process_installation import InProcessInstallation
from fixtures.timetables import CALLER
from holdfast.views.dashboard.fleet import Tiles


@dataclass
class _Clock:
    at: int = 1_764_504_000_000
    passed: float = 0.0

    def now(self) -> int:
        return self.at

    def monotonic(self) -> float:
        return self.passed


def test_tiles_are_read_anew_after_a_second_or_a_change(
    installation: InProcessInstallation, addon_pk: int
) -> None:
    clock = _Clock()
    tiles = Tiles(clock)  # type: ignore[arg-type]
    with installation.catalog.read() as session:
        first = tiles.of(session, CALLER, 1)
        assert [tile.pk for tile in first] == [addon_pk]
        assert tiles.of(session, CALLER, 1) is first
        assert tiles.of(session, CALLER, 2) is not first
        second = tiles.of(session, CALLER, 2)
        clock.passed = 1.5
        assert tiles.of(session, CALLER, 2) is not second
        member = replace(CALLER, projects=frozenset({"elsewhere"}))
        assert list(tiles.of(session, member, 2)) == []
