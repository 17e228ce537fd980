"""A token is looked up once while nothing changes, and what changes counts for the next request."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from sqlalchemy import update

from fixtures.asked import listening
from fixtures.timetables import DAY, SetClock
from holdfast.catalog.database.session import Catalog
from holdfast.catalog.schema import Role, Token
from holdfast.catalog.tokens import digest
from holdfast.domain.errors import Unauthenticated
from holdfast.http.callers import Callers
from holdfast.http.limits.turns import Turns
from holdfast.kit.seal import Secret

TOKEN = Secret("hf-a-token")
NOW = 1_700_000_000_000


@dataclass
class CallerLookup:
    """One API process, and another connection to the same catalogue."""

    catalog: Catalog
    elsewhere: Catalog
    clock: SetClock

    def __post_init__(self) -> None:
        self.callers = Callers(self.catalog, self.clock, Turns(1))

    def ask(self, times: int = 1) -> str:
        """The caller's name; `asked` holds the statements of the look-up."""

        async def asking() -> str:
            return [await self.callers.of(TOKEN) for _ in range(times)][-1].name

        with listening(self.catalog) as self.asked:
            return asyncio.run(asking())

    def set(self, **values: object) -> None:
        with self.elsewhere.write() as session:
            session.execute(update(Token).values(**values))


@pytest.fixture
def lookup(catalog: Catalog) -> Iterator[CallerLookup]:
    with catalog.write() as session:
        session.add(Role(id="role", name="Role", permissions=[], created=1))
        session.add(
            Token(id="t" * 24, name="mine", digest=digest(TOKEN), role="role", created=1,
                  last_used=NOW, expires=NOW + DAY)
        )  # fmt: skip
    elsewhere = Catalog(catalog.url.render_as_string(hide_password=False))
    yield CallerLookup(catalog, elsewhere, SetClock(NOW))
    elsewhere.close()


def test_many_requests_are_one_look_up_where_changes_are_seen(lookup: CallerLookup) -> None:
    assert lookup.ask(times=50) == "mine"
    assert len(lookup.asked) == (2 if lookup.catalog.is_sqlite else 100)


def test_a_revoked_token_is_refused_at_once_whoever_revoked_it(lookup: CallerLookup) -> None:
    assert lookup.ask() == "mine"
    lookup.set(revoked=NOW)
    with pytest.raises(Unauthenticated):
        lookup.ask()


def test_what_our_own_process_changes_counts_as_well(lookup: CallerLookup) -> None:
    assert lookup.ask() == "mine"
    with lookup.catalog.write() as session:
        session.execute(update(Role).values(permissions=["x"]))
    assert "x" in asyncio.run(lookup.callers.of(TOKEN)).permissions


def test_it_expires_to_the_millisecond(lookup: CallerLookup) -> None:
    lookup.set(expires=NOW + 500)
    assert lookup.ask() == "mine"
    lookup.clock.at = NOW + 499
    assert lookup.ask() == "mine"
    lookup.clock.at = NOW + 500
    with pytest.raises(Unauthenticated):
        lookup.ask()


def test_its_use_is_written_down_once_a_minute(lookup: CallerLookup) -> None:
    lookup.set(last_used=NOW - 2 * 60_000)
    lookup.ask(times=3)
    written = [statement for statement, _ in lookup.asked if statement.startswith("UPDATE")]
    assert len(written) == 1
