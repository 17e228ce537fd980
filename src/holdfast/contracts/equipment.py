"""The contract of engines whose programs Holdfast can install."""

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
    """An engine whose tools Holdfast can install."""

    def tools(self) -> Sequence[Tools]:
        """Installed tools, newest first."""
        ...

    def installable(self) -> Sequence[str]:
        """Versions that `install` takes on this machine."""
        ...

    def install(self, version: str) -> Tools:
        """Installs beside other versions; already installed is success. ToolMissing on failure."""
        ...
