"""Prints log lines: time and text, or one JSON object per line."""

from collections.abc import Iterable

from holdfast.cli.session.session import Session
from holdfast.client.models.models import LogLine


def show_lines(session: Session, lines: Iterable[LogLine]) -> None:
    for line in lines:
        session.printer.line(line, f"{line.ts}  {line.log}")
