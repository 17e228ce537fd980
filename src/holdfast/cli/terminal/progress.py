"""Progress on standard error: a moving bar on a terminal, a line per change without one."""

import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TransferSpeedColumn,
)
from rich.text import Text

from holdfast.cli.terminal.output import note
from holdfast.cli.terminal.text import human_size, printable
from holdfast.client.models.models import Addon, Backup, Restore

Watched = Addon | Backup | Restore


@contextmanager
def watching(what: str) -> Generator[Callable[[Watched], None]]:
    """Yields the listener to hand to a wait. Ctrl-C ends the wait, not what is waited for."""
    try:
        with _shown(what) as listener:
            yield listener
    except KeyboardInterrupt:
        note(f"{what}: no longer waiting; it goes on without us")
        raise


@contextmanager
def _shown(what: str) -> Generator[Callable[[Watched], None]]:
    if not sys.stderr.isatty():
        yield _Changes(what).show
        return
    with _bar() as bar:
        task = bar.add_task(what, total=None)

        def show(seen: Watched) -> None:
            bar.update(task, description=_label(what, seen))
            if seen.progress is not None:
                bar.update(task, completed=seen.progress.bytes, total=seen.progress.expected)
            elif not isinstance(seen, Addon) and seen.ended:
                bar.update(task, total=bar.tasks[task].completed)

        yield show


@contextmanager
def transferring(what: str, total: int | None) -> Generator[Callable[[int], None]]:
    """Yields a function to be told how many bytes have come so far."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    with _bar() as bar:
        task = bar.add_task(printable(what), total=total)
        yield lambda count: bar.update(task, completed=count)


class _Changes:
    def __init__(self, what: str) -> None:
        self._what = what
        self._last = ""

    def show(self, seen: Watched) -> None:
        label = _label(self._what, seen)
        if label != self._last:
            self._last = label
            moved = seen.progress.bytes if seen.progress else 0
            note(f"{label} ({human_size(moved)})" if moved else label)


def _label(what: str, seen: Watched) -> str:
    step = f", {seen.progress.step}" if seen.progress and seen.progress.step else ""
    return printable(f"{what}: {seen.status}{step}")


class _PlainText(TextColumn):
    """The description as it is: a name with brackets is not markup."""

    def render(self, task: object) -> Text:
        return Text(str(getattr(task, "description", "")))


def _bar() -> Progress:
    columns = (BarColumn(), DownloadColumn(binary_units=True), TransferSpeedColumn())
    console = Console(stderr=True)
    return Progress(_PlainText(""), *columns, TimeElapsedColumn(), console=console)
