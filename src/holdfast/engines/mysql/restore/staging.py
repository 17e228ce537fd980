"""Loads a dump beside what a server holds: staging databases that nobody else knows of."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from holdfast.contracts.engine import Address, Attempt, Dump, Fetch, Inventory
from holdfast.domain.errors import AddonUnavailable, EvidenceMissing, NotSupported
from holdfast.engines.mysql.client import facts, object_names, session_settings
from holdfast.engines.mysql.client.address import connect, nearest
from holdfast.engines.mysql.client.connection import Session, WireError, name
from holdfast.engines.mysql.client.connection import code as number
from holdfast.engines.mysql.client.facts import Facts
from holdfast.engines.mysql.client.server_errors import translated
from holdfast.engines.mysql.dump import archive, stored_code
from holdfast.engines.mysql.dump.inventory import Count, begin_snapshot, count, merged
from holdfast.engines.mysql.dump.script import relocated
from holdfast.engines.mysql.dump.statement_rules import databases_of_trigger
from holdfast.engines.mysql.dump.stored_code import Code, Refused
from holdfast.engines.mysql.restore import definers, foreign_keys
from holdfast.engines.mysql.restore.foreign_keys import Link
from holdfast.engines.mysql.restore.ledger import Book, Placement, databases, drop_database
from holdfast.engines.mysql.restore.load import drop_user, loading
from holdfast.kit.processes.guard import Guard

_NO_SUCH_THREAD = 1094


class Staging:
    """One attempt to load one dump beside."""

    def __init__(self, address: Address, dump: Dump, attempt: Attempt, guard: Guard) -> None:
        self._address = nearest(address)
        self._dump = dump
        self._attempt = attempt
        self._guard = guard
        self._plan = placements(dump, attempt)
        self._places = {placement.final: placement.staged for placement in self._plan}

    def run(self, fetch: Fetch) -> Inventory:
        with translated(self._guard), connect(self._address) as admin:
            give_up = self._guard.adopt(admin.cut)
            try:
                return self._run(admin, fetch)
            finally:
                give_up()

    def _run(self, admin: Session, fetch: Fetch) -> Inventory:
        become_only(admin, self._attempt)
        session_settings.loosen(admin)
        clear(admin, self._attempt)
        referring = self._links(admin)
        book = Book(admin, object_names.book(self._attempt))
        book.open()
        for placement in self._plan:
            admin.execute(
                f"CREATE DATABASE {name(placement.staged)} CHARACTER SET {placement.charset}"
                f" COLLATE {placement.collation}"
            )
        codes = self._load(admin, fetch)
        foreign_keys.try_beside(admin, referring, self._places, book.database, self._attempt.say)
        refused = self._rehearse(admin, codes)
        counts = self._count(admin, codes, refused)
        accounts, readying = self._fitting_accounts(admin, fetch), self._readying(codes)
        book.write(self._plan, self._final(codes), accounts, readying)
        book.mark_ready()
        return replace(merged(counts), skipped=tuple(placement.skipped() for placement in refused))

    def _links(self, admin: Session) -> Sequence[Link]:
        """Foreign keys of databases that stay. PreflightRefused where the backup lacks what they
        refer to, before anything is loaded."""
        if not self._attempt.keep_others:
            return []
        links = foreign_keys.into(admin, set(self._places))
        if not self._dump.imported:
            tables = self._dump.inventory.tables
            foreign_keys.require_parents(links, {(table.database, table.name) for table in tables})
        return links

    def _load(self, admin: Session, fetch: Fetch) -> list[Code]:
        attempt, places = self._attempt, self._places
        with loading(admin, self._address, attempt, places, self._guard) as (loader, own_user):
            self._say_rights(own_user=own_user)
            for member in self._dump.members:
                if member.format == archive.SCRIPT:
                    loader.load(fetch(member.name))
            return list(loader.codes.values())

    def _say_rights(self, *, own_user: bool) -> None:
        if not own_user:
            self._attempt.say(
                f"user {self._address.user} may not make users: the dump is loaded with its"
                " rights instead of those of one that can only reach the new databases"
            )

    def _final(self, codes: Sequence[Code]) -> Sequence[Code]:
        """As the swap makes them."""
        return codes

    def _readying(self, codes: Sequence[Code]) -> Sequence[str]:  # noqa: ARG002 - ours need nothing
        """Statements that have to run before the swap makes any code. Repeatable."""
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
        """Makes everything once beside; returns what the server does not take.

        Definers come into it later: their accounts are not there yet. Events are not tried: they
        would run. Neither are triggers that name their database.
        """
        names = {name(a).encode(): name(b).encode() for a, b in self._places.items()}
        tried = [
            self._beside(each, names)
            for each in codes
            if each.kind != "events"
            and not (each.kind == "triggers" and databases_of_trigger(each.statement))
        ]
        refused = stored_code.make(admin, tried, lambda database: self._places[database])
        for each in self._plan:
            stored_code.drop(admin, each.staged)
        for each in refused:
            self._attempt.say(f"the server does not take {each.sentence()}")
        return refused

    def _beside(self, code: Code, names: dict[bytes, bytes]) -> Code:
        owned = definers.owned(code, by_owner=False)
        if code.kind != "views":
            return owned
        return replace(owned, statement=relocated(owned.statement, names))

    def _fitting_accounts(self, admin: Session, fetch: Fetch) -> list[str]:
        statements, flavour = self._accounts(fetch), facts.server(admin)["flavour"]
        if statements and section(self._dump, "server")["flavour"] != flavour:
            self._attempt.say(
                f"accounts are left as they are: those in the dump are not of {flavour}"
            )
            return []
        return statements

    def _accounts(self, fetch: Fetch) -> list[str]:
        statements: list[str] = []
        for member in self._dump.members:
            if member.format == archive.ACCOUNTS:
                text = b"".join(fetch(member.name)).decode()
                statements += [
                    line.removesuffix(";") for line in text.splitlines() if line[:2] != "--"
                ]
        return statements


class ConfinedStaging(Staging):
    """Beside what a managed server holds: nothing that came runs with more than its owner has."""

    def _load(self, admin: Session, fetch: Fetch) -> list[Code]:
        owner = str(self._address.owner)
        return [definers.bounded(code, owner) for code in super()._load(admin, fetch)]


def recorded(dump: Dump) -> list[Facts]:
    databases = dump.facts.get("databases")
    if not isinstance(databases, list):
        raise NotSupported("the dump does not say which databases it holds")
    return [dict(entry) for entry in databases]  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]


def section(dump: Dump, key: str) -> Mapping[str, object]:
    value = dump.facts.get(key)
    if not isinstance(value, dict):
        raise NotSupported(f"the dump says nothing of its {key}")
    return dict(value)  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]


def placements(dump: Dump, attempt: Attempt) -> list[Placement]:
    """Which database goes where: the same answer for every attempt that goes on with one stage."""
    prefix = object_names.stage_prefix(attempt)
    return [
        Placement(
            str(database["name"]),
            f"{prefix}{number}",
            _word(database["charset"]),
            _word(database["collation"]),
            str(database.get("comment", "")),
        )
        for number, database in enumerate(recorded(dump))
    ]


def _word(text: object) -> str:
    if not re.fullmatch(r"\w+", str(text)):
        raise EvidenceMissing(f"{text!r} is no character set or collation")
    return str(text)


def clear(admin: Session, attempt: Attempt) -> bool:
    """Removes what attempts of this operation up to this one staged. Says whether there was
    anything."""
    drop_user(admin, attempt)
    mine = databases(admin, object_names.stages_prefix(attempt.op))
    staged = [database for database in mine if object_names.is_older_stage(database, attempt)]
    for database in sorted(
        staged, key=lambda database: database.endswith(object_names.BOOK)
    ):  # books go last
        drop_database(admin, database)
    return bool(staged)


def become_only(session: Session, attempt: Attempt) -> None:
    """Ends the sessions in which attempts up to this one act, and makes sure that this is the one
    to act now. From here on the next attempt ends this session before it does anything, so however
    long this one is paused between two statements, it does not go on beside the other."""
    attempt.confirm()
    for earlier in range(attempt.number + 1):
        _end_holder(session, object_names.session_lock(attempt.op, earlier))
    own = object_names.session_lock(attempt.op, attempt.number)
    if session.value("SELECT GET_LOCK(%s, 30)", [own]) != 1:
        raise AddonUnavailable("a session of an attempt before this one does not end")
    attempt.confirm()


def _end_holder(session: Session, lock: str) -> None:
    holder = session.value("SELECT IS_USED_LOCK(%s)", [lock])
    if holder is not None and holder != session.value("SELECT connection_id()"):
        try:
            session.execute(f"KILL {int(str(holder))}")
        except WireError as error:
            if number(error) != _NO_SUCH_THREAD:
                raise


def user_databases(session: Session) -> list[str]:
    """All but directories that are no databases to any statement."""
    names = [str(database["name"]) for database in facts.databases(session)]
    return [database for database in names if object_names.plain(database) == database]
