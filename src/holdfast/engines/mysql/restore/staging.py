"""Loads a dump into staging databases beside the server's own."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from holdfast.contracts.engine import Address, Attempt, Dump, Fetch, Inventory
from holdfast.domain.errors import AddonUnavailable, EvidenceMissing, NotSupported
from holdfast.engines import staging_names
from holdfast.engines.mysql.client import facts, object_names, session_settings
from holdfast.engines.mysql.client.address import connect, nearest
from holdfast.engines.mysql.client.connection import Session, WireError, error_number, quote_name
from holdfast.engines.mysql.client.facts import Facts
from holdfast.engines.mysql.client.server_errors import translated
from holdfast.engines.mysql.dump import archive, stored_code
from holdfast.engines.mysql.dump.inventory import Count, begin_snapshot, count, merge
from holdfast.engines.mysql.dump.script import redirect_view
from holdfast.engines.mysql.dump.statement_rules import databases_of_trigger
from holdfast.engines.mysql.dump.stored_code import Code, Refused
from holdfast.engines.mysql.restore import definers, foreign_keys, reference_systems
from holdfast.engines.mysql.restore.foreign_keys import ForeignKey
from holdfast.engines.mysql.restore.ledger import Ledger, Placement, databases, drop_database
from holdfast.engines.mysql.restore.load import drop_user, loading
from holdfast.kit.processes.guard import Guard

_NO_SUCH_THREAD = 1094


class Staging:
    """One attempt to stage one dump."""

    def __init__(self, address: Address, dump: Dump, attempt: Attempt, guard: Guard) -> None:
        self._address = nearest(address)
        self._dump = dump
        self._attempt = attempt
        self._guard = guard
        self._plan = placements(dump, attempt)
        self._staged_names = {placement.final: placement.staged for placement in self._plan}

    def run(self, fetch: Fetch) -> Inventory:
        with translated(self._guard), connect(self._address) as admin:
            give_up = self._guard.adopt(admin.cut)
            try:
                return self.stage(admin, fetch)
            finally:
                give_up()

    def stage(self, admin: Session, fetch: Fetch) -> Inventory:
        """Loads, tries and counts the dump, and records all that the swap needs."""
        take_over(admin, self._attempt)
        session_settings.apply_loading_settings(admin)
        drop_staged(admin, self._attempt)
        referring: Sequence[ForeignKey] = ()
        if self._attempt.keep_others:  # databases that stay may refer to what the backup lacks
            referring = foreign_keys.referring_to(admin, set(self._staged_names))
            if not self._dump.imported:
                tables = {(table.database, table.name) for table in self._dump.inventory.tables}
                foreign_keys.require_parents(referring, tables)
        ledger = Ledger(admin, staging_names.ledger_database(self._attempt))
        ledger.open()
        for placement in self._plan:
            admin.execute(
                f"CREATE DATABASE {quote_name(placement.staged)} CHARACTER SET {placement.charset}"
                f" COLLATE {placement.collation}"
            )
        reference_systems.create_missing(admin, recorded_databases(self._dump), self._attempt.say)
        codes = self.load_script(admin, fetch)
        foreign_keys.rehearse(
            admin, referring, self._staged_names, ledger.database, self._attempt.say
        )
        refused = self._rehearse(admin, codes)
        counts = self._count(admin, codes, refused)
        accounts, flavour = self.account_statements(fetch), facts.server(admin)["flavour"]
        if accounts and fact_section(self._dump, "server")["flavour"] != flavour:
            self._attempt.say(
                f"accounts are left as they are: those in the dump are not of {flavour}"
            )
            accounts = []
        ledger.write(self._plan, self.final_code(codes), accounts, self.preparations(codes))
        ledger.mark_ready()
        return replace(merge(counts), skipped=tuple(problem.skipped() for problem in refused))

    def load_script(self, admin: Session, fetch: Fetch) -> list[Code]:
        attempt, staged_names = self._attempt, self._staged_names
        with loading(admin, self._address, attempt, staged_names, self._guard) as (
            loader,
            own_user,
        ):
            self.report_rights(own_user=own_user)
            for member in self._dump.members:
                if member.format == archive.SCRIPT:
                    loader.load(fetch(member.name))
            return list(loader.codes.values())

    def report_rights(self, *, own_user: bool) -> None:
        if not own_user:
            self._attempt.say(
                f"user {self._address.user} may not make users: the dump is loaded with its"
                " rights instead of those of one that can only reach the new databases"
            )

    def final_code(self, codes: Sequence[Code]) -> Sequence[Code]:
        """The code as the swap creates it."""
        return codes

    def preparations(self, codes: Sequence[Code]) -> Sequence[str]:  # noqa: ARG002 - own dumps need none
        """Statements that have to run before the swap creates any code. Repeatable."""
        return []

    def _count(
        self, admin: Session, codes: Sequence[Code], refused: Sequence[Refused]
    ) -> dict[str, Count]:
        history = bool(self._dump.facts.get("history"))
        lost = {
            (placement.code.database, placement.code.kind, placement.code.name)
            for placement in refused
        }
        counts: dict[str, Count] = {}
        begin_snapshot(admin)
        for placement in self._plan:
            self._guard.check()
            counted = count(admin, placement.staged, placement.final, history=history)
            kinds = dict(counted.objects)
            for one in codes:
                is_made = (one.database, one.kind, one.name) not in lost
                if one.database == placement.final and is_made:
                    kinds[one.kind] = kinds.get(one.kind, 0) + 1
            counts[placement.final] = Count(counted.tables, kinds)
        admin.execute("COMMIT")
        return counts

    def _rehearse(self, admin: Session, codes: Sequence[Code]) -> Sequence[Refused]:
        """Creates all code once in the staging databases; returns what the server refuses.

        Definers are left out: their accounts do not exist yet. Events are not tried, because they
        would run, nor are triggers that name their database.
        """
        names = {
            quote_name(a).encode(): quote_name(b).encode() for a, b in self._staged_names.items()
        }
        tried = [
            replace(code, statement=redirect_view(code.statement, names))
            if code.kind == "views"
            else code
            for code in (definers.with_owner(code, by_owner=False) for code in codes)
            if code.kind != "events"
            and not (code.kind == "triggers" and databases_of_trigger(code.statement))
        ]
        refused = stored_code.create_all(
            admin, tried, lambda database: self._staged_names[database]
        )
        for placement in self._plan:
            stored_code.drop(admin, placement.staged)
        for problem in refused:
            self._attempt.say(f"the server does not take {problem.sentence()}")
        return refused

    def account_statements(self, fetch: Fetch) -> list[str]:
        statements: list[str] = []
        for member in self._dump.members:
            if member.format == archive.ACCOUNTS:
                text = b"".join(fetch(member.name)).decode()
                statements += [
                    line.removesuffix(";") for line in text.splitlines() if line[:2] != "--"
                ]
        return statements


class ConfinedStaging(Staging):
    """Staging on a managed server: restored code gets no more rights than the owner has."""

    def load_script(self, admin: Session, fetch: Fetch) -> list[Code]:
        owner = str(self._address.owner)
        return [
            definers.with_known_definer(code, owner) for code in super().load_script(admin, fetch)
        ]


def recorded_databases(dump: Dump) -> list[Facts]:
    databases = dump.facts.get("databases")
    if not isinstance(databases, list):
        raise NotSupported("the dump does not say which databases it holds")
    return [dict(entry) for entry in databases]  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]


def fact_section(dump: Dump, key: str) -> Mapping[str, object]:
    value = dump.facts.get(key)
    if not isinstance(value, dict):
        raise NotSupported(f"the dump says nothing of its {key}")
    return dict(value)  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]


def placements(dump: Dump, attempt: Attempt) -> list[Placement]:
    """Final and staging name of each database, the same for all attempts that share a stage."""
    prefix = staging_names.stage_prefix(attempt)
    return [
        Placement(
            str(database["name"]),
            f"{prefix}{number}",
            _word(database["charset"]),
            _word(database["collation"]),
            str(database.get("comment", "")),
        )
        for number, database in enumerate(recorded_databases(dump))
    ]


def _word(text: object) -> str:
    if not re.fullmatch(r"\w+", str(text)):
        raise EvidenceMissing(f"{text!r} is no character set or collation")
    return str(text)


def drop_staged(admin: Session, attempt: Attempt) -> bool:
    """Drops what attempts of this operation up to this one staged; says whether there was any."""
    drop_user(admin, attempt)
    mine = databases(admin, staging_names.stages_prefix(attempt.op))
    staged = [database for database in mine if staging_names.is_older_stage(database, attempt)]
    for database in sorted(
        staged, key=lambda database: database.endswith(staging_names.LEDGER)
    ):  # ledgers go last
        drop_database(admin, database)
    return bool(staged)


def take_over(session: Session, attempt: Attempt) -> None:
    """Ends the sessions of attempts up to this one, and takes this attempt's lock.

    The next attempt ends this session before it does anything: however long this one is paused
    between two statements, it does not go on beside the next.
    """
    attempt.confirm()
    for earlier in range(attempt.number + 1):
        holder = session.value(
            "SELECT IS_USED_LOCK(%s)", [object_names.session_lock(attempt.op, earlier)]
        )
        if holder is not None and holder != session.value("SELECT connection_id()"):
            try:
                session.execute(f"KILL {int(str(holder))}")
            except WireError as error:
                if error_number(error) != _NO_SUCH_THREAD:
                    raise
    own = object_names.session_lock(attempt.op, attempt.number)
    if session.value("SELECT GET_LOCK(%s, 30)", [own]) != 1:
        raise AddonUnavailable("a session of an attempt before this one does not end")
    attempt.confirm()


def user_databases(session: Session) -> list[str]:
    """All databases but directories that SQL cannot name."""
    names = [str(database["name"]) for database in facts.databases(session)]
    return [database for database in names if object_names.plain_name(database) == database]
