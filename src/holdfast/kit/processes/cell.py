"""What a server that we run for others does not see: see `confine.py`, which makes it so."""

import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from holdfast.kit.processes import confine


@dataclass(frozen=True)
class Cell:
    """Directories that are empty for a program, and what below them is there all the same."""

    hidden: Sequence[Path]
    visible: Sequence[Path] = ()

    def with_visible(self, *paths: Path) -> "Cell":
        return replace(self, visible=(*self.visible, *(path.absolute() for path in paths)))


def confined(
    argv: Sequence[str], cell: Cell, user: tuple[int, int] | None, parent: int | None
) -> list[str]:
    """The arguments of a program in its cell. `user`: uid and gid, for root to become. `parent`:
    whose end is its own."""
    settings = {
        "user": user,
        "hidden": [*confine.SHARED, *map(str, cell.hidden)] if os.geteuid() == 0 else [],
        "visible": [str(path) for path in _outermost_first(cell.visible)],
        "parent": parent,
    }
    return [sys.executable, "-I", "-S", confine.__file__, json.dumps(settings), *argv]


def _outermost_first(paths: Sequence[Path]) -> list[Path]:
    return sorted(dict.fromkeys(paths), key=lambda path: len(path.parts))
