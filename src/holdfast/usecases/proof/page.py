"""The HTML of a report, for people: one file without scripts and outside resources.

It says what the JSON says, in the same order. Long lists are shortened here, and say so: a year of
hourly backups is no reading matter, but every failure is.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from holdfast.domain.units import show_bytes, show_duration

MAX_ROWS = 100
"""Rows of one list of one addon."""
MAX_CHANGES = 2_000

Document = Mapping[str, Any]

_MARKS = {
    "protected": "●",
    "paused": "◌",
    "at risk": "◐",
    "no plan": "○",
    "unprotected": "✕",
    "completed": "✓",
    "passed": "✓",
    "failed": "✕",
    "not-supported": "✕",
    "inconclusive": "?",
    "aborted": "–",
    "missed": "✕",
    "skipped": "✕",
}
"""Signs beside words, so that nothing is said by colour alone."""


def opening(head: Document) -> str:
    """The beginning of the page up to the first addon, with the summary."""
    return _render("opening.html", head)


def addon(number: int, document: Document) -> str:
    """The section of one addon, which has this number on the page."""
    more = {
        name: shorten(document[name])
        for name in ("notMade", "backups", "drills", "restores", "deletions")
    }
    return _render("addon.html", {**document, "index": number, "lists": more})


def changes(entries: Sequence[Document], count: int) -> str:
    """The audit log's entries; `count` is how many there are in all."""
    return _render("changes.html", {"entries": entries, "omitted": count - len(entries)})


def closing() -> str:
    return "</main>\n</body>\n</html>\n"


def shorten(rows: Sequence[Document]) -> dict[str, object]:
    """At most MAX_ROWS, those that ended badly first of all, and how many are left out."""
    if len(rows) <= MAX_ROWS:
        return {"rows": rows, "omitted": 0}
    bad = {
        index
        for index, row in enumerate(rows)
        if row.get("status") in ("failed", "not-supported") or row.get("verdict") == "failed"
    }
    newest = range(len(rows) - 1, -1, -1)
    order = [*(i for i in newest if i in bad), *(i for i in newest if i not in bad)]
    shown = [rows[index] for index in sorted(order[:MAX_ROWS])]
    return {"rows": shown, "omitted": len(rows) - len(shown)}


def _render(name: str, values: Document) -> str:
    return _templates.get_template(name).render(values)


def when(text: str | None) -> str:
    """`2026-10-01T03:00:12.345Z` to `2026-10-01 03:00`, in UTC as everything here."""
    return "–" if text is None else text[:16].replace("T", " ")


def day(text: str) -> str:
    return text[:10] if text[11:19] == "00:00:00" else when(text)


def took(row: Document) -> str:
    """The time from `createdAt` to `completedAt`."""
    if "completedAt" not in row:
        return "–"
    begun, ended = (datetime.fromisoformat(row[name]) for name in ("createdAt", "completedAt"))
    return seconds((ended - begun).total_seconds())


def seconds(seconds: float | None) -> str:
    if seconds is None:
        return "–"
    return f"{seconds:.1f} s" if seconds < 120 else show_duration(round(seconds * 1000))


def minutes(minutes: int | None) -> str:
    return "–" if minutes is None else show_duration(minutes * 60_000)


@lru_cache(maxsize=256)
def marked(word: str) -> Markup:
    """A word with its sign, and a class for its colour; cached, as there are few and it is slow."""
    name = word.replace(" ", "-") if word in _MARKS else "other"
    sign = f"{_MARKS[word]} " if word in _MARKS else ""
    return Markup('<span class="mark {}">{}{}</span>').format(name, sign, word)


def percent(share: float | None) -> str:
    """Rounded down: 99.999 % is not all."""
    return "–" if share is None else f"{int(share * 10_000) / 100:.2f} %"


_templates = Environment(
    loader=FileSystemLoader(Path(__file__).with_name("templates")),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_templates.filters.update(
    when=when,
    day=day,
    took=took,
    seconds=seconds,
    minutes=minutes,
    marked=marked,
    percent=percent,
    size=show_bytes,
)
