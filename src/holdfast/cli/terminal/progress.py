"""Shows progress on standard error: a bar on a terminal, else a line per change."""

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
from holdfast.client.proof.drills import Drill

Watched = Addon | Backup | Drill | Restore


@contextmanager
def watching(subject: str) -> Generator[Callable[[Watched], None]]:
    """Yields the listener for a wait. Ctrl-C ends the wait, not the operation."""
    try:
        with _shown(subject) as listener:
            yield listener
    except KeyboardInterrupt:
        note(f"{subject}: no longer waiting; it goes on without us")
        raise


@contextmanager
def _shown(subject: str) -> Generator[Callable[[Watched], None]]:
    if not sys.stderr.isatty():
        yield _Changes(subject).show
        return
    with _bar() as bar:
        task = bar.add_task(subject, total=None)

        def show(watched: Watched) -> None:
            bar.update(task, description=_label(subject, watched))
            if watched.progress is not None:
                bar.update(task, completed=watched.progress.bytes, total=watched.progress.expected)
            elif not isinstance(watched, Addon) and watched.ended:
                bar.update(task, total=bar.tasks[task].completed)

        yield show


@contextmanager
def transferring(subject: str, total: int | None) -> Generator[Callable[[int], None]]:
    """Yields a function to call with the bytes that have come so far."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    with _bar() as bar:
        task = bar.add_task(printable(subject), total=total)
        yield lambda count: bar.update(task, completed=count)


class _Changes:
    def __init__(self, subject: str) -> None:
        self._subject = subject
        self._last = ""

    def show(self, watched: Watched) -> None:
        label = _label(self._subject, watched)
        if label != self._last:
            self._last = label
            moved = watched.progress.bytes if watched.progress else 0
            note(f"{label} ({human_size(moved)})" if moved else label)


def _label(subject: str, watched: Watched) -> str:
    step = f", {watched.progress.step}" if watched.progress and watched.progress.step else ""
    waits = isinstance(watched, Drill) and watched.status == "scheduled" and watched.reason
    return printable(f"{subject}: {watched.status}{step}{f', {waits}' if waits else ''}")


class _PlainText(TextColumn):
    """Shows the description as it is: a name with brackets is not markup."""

    def render(self, task: object) -> Text:
        return Text(str(getattr(task, "description", "")))


def _bar() -> Progress:
    columns = (BarColumn(), DownloadColumn(binary_units=True), TransferSpeedColumn())
    console = Console(stderr=True)
    return Progress(_PlainText(""), *columns, TimeElapsedColumn(), console=console)
