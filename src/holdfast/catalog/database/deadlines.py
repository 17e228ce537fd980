"""Connections to PostgreSQL with a time limit for every answer.

The kernel notices a server that refuses or a host that is gone. A server that hangs in the middle
of a query (its process, its disk, a proxy in between) keeps the connection open and silent: only a
limit of our own ends that.
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
    """Limits each answer to queries of this thread to `seconds`; None: no limit."""
    before = getattr(_own, "seconds", ())
    _own.seconds = (seconds,)
    try:
        yield
    finally:
        _own.seconds = before


class PatientConnection(psycopg.Connection[Any]):
    """Raises OperationalError and closes when an answer takes too long."""

    patience = 60.0

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        if timeout is not None:
            return super().wait(gen, interval=interval, timeout=timeout)
        (seconds,) = getattr(_own, "seconds", ()) or (self.patience,)
        try:
            return super().wait(gen, interval=interval, timeout=seconds)
        except psycopg.errors._WaitTimeout as error:  # pyright: ignore[reportPrivateUsage] - it has no other name
            self.pgconn.finish()  # in the middle of an answer: of no more use
            raise psycopg.OperationalError(f"no answer for {seconds:g} s") from error

    def notifies(self, *arguments: Any, **options: Any) -> Generator[psycopg.Notify]:
        """Without our limit: a notification may never come, and listeners set their own."""
        with hurried(None):
            yield from super().notifies(*arguments, **options)


def make_patient(engine: Engine, seconds: float) -> None:
    """Makes every new connection of the engine a PatientConnection."""

    class Connection(PatientConnection):
        patience = seconds

    @event.listens_for(engine, "do_connect")
    def connect(dialect: Any, record: Any, arguments: Any, options: Any) -> Any:  # noqa: ARG001  # pyright: ignore[reportUnusedFunction]
        return Connection.connect(*arguments, **options)
