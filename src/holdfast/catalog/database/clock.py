"""The database's clock, which all hosts share."""

from sqlalchemy import select

from holdfast.catalog.database.session import Catalog, database_now
from holdfast.kit.clock import Clock

_NOW = select(database_now())


class DatabaseClock:
    """A clock that reads the database's time, so that a host's wrong clock does no harm."""

    def __init__(self, catalog: Catalog, local: Clock) -> None:
        self._catalog = catalog
        self._local = local

    def now(self) -> int:
        with self._catalog.read() as session:
            return session.scalars(_NOW).one()

    def monotonic(self) -> float:
        return self._local.monotonic()

    def boottime(self) -> float:
        return self._local.boottime()
