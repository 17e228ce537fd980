"""What an engine owes whose programs Holdfast can install itself."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable


class Tools(Protocol):
    """Programs of one exact version in one directory."""

    @property
    def version(self) -> str: ...
    @property
    def origin(self) -> str:
        """`system`, `path`, or `holdfast` for what `install` put there."""
        ...

    @property
    def directory(self) -> Path: ...


@runtime_checkable
class Equippable(Protocol):
    """An engine whose tools Holdfast can install itself."""

    def tools(self) -> Sequence[Tools]:
        """What is installed, newest first."""
        ...

    def installable(self) -> Sequence[str]:
        """Versions that `install` takes on this machine."""
        ...

    def install(self, version: str) -> Tools:
        """Installed beside the others; already there is success. ToolMissing if it cannot be."""
        ...
