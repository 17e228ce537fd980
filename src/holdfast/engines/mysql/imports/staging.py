"""Stages foreign dumps through the statement filter, also those that name no database."""

from collections.abc import Iterator, Sequence

from holdfast.contracts.engine import Address, Attempt, Dump, Fetch
from holdfast.engines.mysql.client import facts
from holdfast.engines.mysql.client.address import connect
from holdfast.engines.mysql.client.connection import Session
from holdfast.engines.mysql.client.server_errors import translated
from holdfast.engines.mysql.dump import archive
from holdfast.engines.mysql.dump.statement_rules import Fate
from holdfast.engines.mysql.dump.stored_code import Code
from holdfast.engines.mysql.imports.statement_filter import StatementFilter
from holdfast.engines.mysql.restore import definers
from holdfast.engines.mysql.restore.load import Loader, loading
from holdfast.engines.mysql.restore.staging import Staging, recorded_databases
from holdfast.engines.mysql.restore.targets import DEFINING, with_target
from holdfast.kit.processes.guard import Guard


class ForeignLoader(Loader):
    """Loads the statements that pass the filter."""

    def load(self, chunks: Iterator[bytes], first: str | None = None) -> None:
        self.filter = StatementFilter()
        super().load(chunks, first)

    def take(self, statement: bytes, quoted: dict[bytes, bytes]) -> None:
        verdict = self.filter.take(statement)
        if verdict is None or verdict.fate is Fate.ANNOUNCE:
            return
        if verdict.fate is Fate.DROP_STAND_IN:
            self._commit()
            self._run(statement)
            return
        super().take(statement, quoted)


class ForeignStaging(Staging):
    """One attempt to stage one foreign dump."""

    def __init__(self, address: Address, dump: Dump, attempt: Attempt, guard: Guard) -> None:
        with translated(guard), connect(address) as session:
            super().__init__(address, with_target(session, address, dump), attempt, guard)
            self._flavour = facts.server(session)["flavour"]
            self._may_define = bool(DEFINING & facts.privileges(session))
        self._has_unnamed_database = any(
            database["name"] == "" for database in recorded_databases(dump)
        )
        self._has_definer_account = False

    def load_script(self, admin: Session, fetch: Fetch) -> list[Code]:
        attempt, staged_names = self._attempt, self._staged_names
        first = self._address.database if self._has_unnamed_database else None
        with loading(admin, self._address, attempt, staged_names, self._guard, ForeignLoader) as (
            loader,
            own_user,
        ):
            self.report_rights(own_user=own_user)
            for member in self._dump.members:
                if member.format != archive.ACCOUNTS:
                    loader.load(fetch(member.name), first)
        assert isinstance(loader, ForeignLoader)
        for kind in sorted(loader.filter.left_out):
            self._attempt.say(f"left out: {kind}")
        self._has_definer_account = own_user and self._may_define
        if loader.codes and not self._has_definer_account:
            self._attempt.say(
                f"views, routines, triggers and events have the rights of {self._address.user}:"
                " it may make no account with less"
            )
        return [definers.with_owner(code, by_owner=False) for code in loader.codes.values()]

    def account_statements(self, fetch: Fetch) -> list[str]:  # noqa: ARG002 - foreign accounts stay out
        return []

    def final_code(self, codes: Sequence[Code]) -> Sequence[Code]:
        return [definers.with_owner(code, by_owner=self._has_definer_account) for code in codes]

    def preparations(self, codes: Sequence[Code]) -> Sequence[str]:
        if not (codes and self._has_definer_account):
            return []
        return definers.account_statements(self._flavour, self._staged_names)
