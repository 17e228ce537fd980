"""Connections to PostgreSQL that do not wait for an answer for ever.

A server that refuses, or a host that is gone, is noticed by the kernel. One that has stopped in the
middle of a query (its process, its disk, a proxy in between) keeps the connection in good order and
says nothing: only a limit of our own ends that.
"""

import threading
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import psycopg
from sqlalchemy import Engine, event

_own = threading.local()


@contextmanager
def hurried(seconds: float | None) -> Generator[None]:
    """What this thread asks the catalogue meanwhile gets so many seconds for each answer; None:
    as long as it takes."""
    before = getattr(_own, "seconds", ())
    _own.seconds = (seconds,)
    try:
        yield
    finally:
        _own.seconds = before


class PatientConnection(psycopg.Connection[Any]):
    """Raises OperationalError, and is closed, when an answer takes too long."""

    patience = 60.0

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        if timeout is not None:
            return super().wait(gen, interval=interval, timeout=timeout)
        (seconds,) = getattr(_own, "seconds", ()) or (self.patience,)
        try:
            return super().wait(gen, interval=interval, timeout=seconds)
        except psycopg.errors._WaitTimeout as error:  # pyright: ignore[reportPrivateUsage] - it has no other name
            self.pgconn.finish()  # in the middle of an answer: of no more use to anybody
            raise psycopg.OperationalError(f"no answer for {seconds:g} s") from error

    def notifies(self, *words: Any, **given: Any) -> Generator[psycopg.Notify]:
        """Whoever listens for what may never come sets a limit himself."""
        with hurried(None):
            yield from super().notifies(*words, **given)


def make_patient(engine: Engine, seconds: float) -> None:
    """From now on every connection of this engine is such a one."""

    class Connection(PatientConnection):
        patience = seconds

    @event.listens_for(engine, "do_connect")
    def connect(dialect: Any, record: Any, words: Any, given: Any) -> Any:  # noqa: ARG001  # pyright: ignore[reportUnusedFunction]
        return Connection.connect(*words, **given)
