"""Choosing among the versions of a program that this machine has."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Protocol, TypeVar

from holdfast.kit.processes.process import Command, run

_TIMEOUT_SECONDS = 20


class Versioned(Protocol):
    @property
    def version(self) -> str: ...


V = TypeVar("V", bound=Versioned)


def series(version: str) -> str:
    """`10.11` of `10.11.6`."""
    return ".".join(version.split(".")[:2])


def closest(candidates: Sequence[V], version: str) -> V | None:
    """The first of exactly this version, else the first of its series."""
    exact = [candidate for candidate in candidates if candidate.version == version]
    same = [c for c in candidates if series(c.version) == series(version)]
    return next(iter([*exact, *same]), None)


def version_output(program: Path, *arguments: str) -> str:
    """What a program prints when asked for its version; empty when it does not run."""
    try:
        return _output(program, program.stat().st_mtime_ns, arguments)
    except OSError:
        return ""


@cache
def _output(program: Path, changed_ns: int, arguments: tuple[str, ...]) -> str:
    """Cached until the file changes."""
    del changed_ns
    finished = run(Command([str(program), *arguments]), timeout=_TIMEOUT_SECONDS)
    return finished.stdout.decode(errors="replace") if finished.status == 0 else ""
