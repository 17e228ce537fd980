"""What a person watches: one line per step, with a bar and a rate on a terminal.

Without a terminal the same facts come as plain lines, so that a log of it can be read too.
"""

import time
from collections.abc import Generator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from demo.sizes import mb, rate

_QUIET_SECONDS = 5.0


class Step:
    """One thing being done: how far it is, and what there is to say when it is over."""

    def __init__(self, title: str, bars: Progress | None, console: Console) -> None:
        self.title = title
        self.result = ""
        self._bars = bars
        self._console = console
        self._began = self._spoke = time.monotonic()
        self._task: TaskID | None = bars.add_task(title, total=None, at="") if bars else None

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._began

    def moved(self, done: int, expected: int | None) -> None:
        """Bytes so far, and in all when that is known."""
        at = f"{mb(done)}, {rate(done, self.seconds)}"
        if self._bars is not None and self._task is not None:
            total = max(expected, done) if expected else None
            self._bars.update(self._task, completed=done, total=total, at=at)
        elif time.monotonic() - self._spoke > _QUIET_SECONDS:
            self._spoke = time.monotonic()
            self._console.print(f"   {at}", highlight=False)


class Screen:
    def __init__(self) -> None:
        found = Console()
        self.console = found if found.is_terminal else Console(width=126)

    @contextmanager
    def step(self, title: str) -> Generator[Step]:
        """Says that it is done when the block ends well; a failure is for the caller to tell."""
        if not self.console.is_terminal:
            self.console.print(f"-- {title}", highlight=False)
            step = Step(title, None, self.console)
            yield step
            self._say(f"   {step.seconds:6.1f} s  {step.result}")
            return
        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=30),
            TextColumn("{task.fields[at]}"),
            TimeElapsedColumn(),
        )
        with Progress(*columns, console=self.console, transient=True) as bars:
            step = Step(title, bars, self.console)
            yield step
        self._say(f"[green]✓[/] {title}: {step.seconds:.1f} s  [dim]{step.result}[/]")

    def _say(self, text: str) -> None:
        self.console.print(text.rstrip(), highlight=False)
