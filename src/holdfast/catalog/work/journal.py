"""The logs of operations, for people."""

from dataclasses import dataclass

from sqlalchemy import select

from holdfast.catalog.database.session import ReadSession, WriteSession
from holdfast.catalog.schema import Line


@dataclass(frozen=True)
class Window:
    """A selection of lines: instants in ms; `after` is a line's pk, for following a log."""

    start: int | None = None
    end: int | None = None
    after: int = 0
    limit: int = 500
    newest: bool = True


def write(session: WriteSession, operation: str, at: int, text: str) -> None:
    session.add(Line(operation=operation, at=at, text=text))


def read(session: ReadSession, operation: str, window: Window) -> list[Line]:
    """Lines in the order written; if there are more than `limit`, the newest (or oldest)."""
    statement = select(Line).where(Line.operation == operation, Line.pk > window.after)
    if window.start is not None:
        statement = statement.where(Line.at >= window.start)
    if window.end is not None:
        statement = statement.where(Line.at <= window.end)
    order = Line.pk.desc() if window.newest else Line.pk
    lines = list(session.scalars(statement.order_by(order).limit(window.limit)))
    return lines[::-1] if window.newest else lines
