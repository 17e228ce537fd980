"""Restores dumps that somebody else made: by the sieve, into databases without names as well."""

from collections.abc import Iterator, Sequence

from holdfast.contracts.engine import Address, Attempt, Dump, Fetch
from holdfast.engines.mysql.client import facts
from holdfast.engines.mysql.client.address import connect
from holdfast.engines.mysql.client.connection import Session
from holdfast.engines.mysql.client.server_errors import translated
from holdfast.engines.mysql.dump import archive
from holdfast.engines.mysql.dump.statement_rules import Fate
from holdfast.engines.mysql.dump.stored_code import Code
from holdfast.engines.mysql.imports.statement_filter import Sieve
from holdfast.engines.mysql.restore import definers
from holdfast.engines.mysql.restore.load import Loader, loading
from holdfast.engines.mysql.restore.staging import Staging, recorded
from holdfast.engines.mysql.restore.targets import DEFINING, addressed
from holdfast.kit.processes.guard import Guard


class ForeignLoader(Loader):
    """Runs what passes the sieve."""

    def load(self, chunks: Iterator[bytes], first: str | None = None) -> None:
        self.sieve = Sieve()
        super().load(chunks, first)

    def _take(self, statement: bytes, quoted: dict[bytes, bytes]) -> None:
        verdict = self.sieve.take(statement)
        if verdict is None or verdict.fate is Fate.DATABASE:
            return
        if verdict.fate is Fate.DROP:
            self._commit()
            self._run(statement)
            return
        super()._take(statement, quoted)


class ForeignStaging(Staging):
    """One attempt to load one dump of unknown hands beside."""

    def __init__(self, address: Address, dump: Dump, attempt: Attempt, guard: Guard) -> None:
        with translated(guard), connect(address) as session:
            super().__init__(address, addressed(session, address, dump), attempt, guard)
            self._flavour = facts.server(session)["flavour"]
            self._may_define = bool(DEFINING & facts.privileges(session))
        self._nameless = any(database["name"] == "" for database in recorded(dump))
        self._own_definer = False

    def _load(self, admin: Session, fetch: Fetch) -> list[Code]:
        attempt, places = self._attempt, self._places
        first = self._address.database if self._nameless else None
        with loading(admin, self._address, attempt, places, self._guard, ForeignLoader) as (
            loader,
            own_user,
        ):
            self._say_rights(own_user=own_user)
            for member in self._dump.members:
                if member.format != archive.ACCOUNTS:
                    loader.load(fetch(member.name), first)
        assert isinstance(loader, ForeignLoader)
        for kind in sorted(loader.sieve.left_out):
            self._attempt.say(f"left out: {kind}")
        self._own_definer = own_user and self._may_define
        if loader.codes and not self._own_definer:
            self._attempt.say(
                f"views, routines, triggers and events have the rights of {self._address.user}:"
                " it may make no account with less"
            )
        return [definers.owned(code, by_owner=False) for code in loader.codes.values()]

    def _accounts(self, fetch: Fetch) -> list[str]:  # noqa: ARG002 - they are strangers'
        return []

    def _final(self, codes: Sequence[Code]) -> Sequence[Code]:
        return [definers.owned(code, by_owner=self._own_definer) for code in codes]

    def _readying(self, codes: Sequence[Code]) -> Sequence[str]:
        if not (codes and self._own_definer):
            return []
        return definers.readying(self._flavour, self._places)
