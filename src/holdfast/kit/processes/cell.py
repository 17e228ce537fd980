"""Describes which files a server of ours must not see; `confine.py` hides them."""

import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from holdfast.kit.processes import confine


@dataclass(frozen=True)
class Cell:
    """Directories that appear empty to a program, and the paths below them that stay visible."""

    hidden: Sequence[Path]
    visible: Sequence[Path] = ()

    def with_visible(self, *paths: Path) -> "Cell":
        return replace(self, visible=(*self.visible, *(path.absolute() for path in paths)))


def confined(
    argv: Sequence[str], cell: Cell, user: tuple[int, int] | None, parent: int | None
) -> list[str]:
    """The command line that starts `argv` in its cell.

    `user` is the (uid, gid) that root becomes; the program dies with the process `parent`.
    """
    settings = {
        "user": user,
        "hidden": [*confine.SHARED, *map(str, cell.hidden)] if os.geteuid() == 0 else [],
        # Outermost first: a later mount over a parent would cover its children.
        "visible": [
            str(path) for path in sorted(dict.fromkeys(cell.visible), key=lambda p: len(p.parts))
        ],
        "parent": parent,
    }
    return [sys.executable, "-I", "-S", confine.__file__, json.dumps(settings), *argv]
