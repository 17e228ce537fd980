"""Loads a dump beside what a server holds: staging databases that nobody else knows of."""

import re
from collections.abc import Mapping, Sequence

from holdfast.contracts.engine import Address, Attempt, Dump, Fetch, Inventory
from holdfast.domain.errors import (
    AddonUnavailable,
    EvidenceMissing,
    NotSupported,
    RestoreDiffers,
)
from holdfast.engines.mysql import archive, code, definers, facts, naming
from holdfast.engines.mysql.address import connect, nearest
from holdfast.engines.mysql.book import Book, Placement, databases, drop_database
from holdfast.engines.mysql.code import Code, Refused
from holdfast.engines.mysql.complaints import translated
from holdfast.engines.mysql.facts import Facts
from holdfast.engines.mysql.inventory import Count, begin_snapshot, count, merged
from holdfast.engines.mysql.judging import judge
from holdfast.engines.mysql.loading import drop_user, loading
from holdfast.engines.mysql.wire import Session, WireError, name
from holdfast.engines.mysql.wire import code as number
from holdfast.kit.guard import Guard

_LOOKS_ELSEWHERE = (1049, 1142, 1143, 1146, 1356, 1370, 1305)
"""What the server says of a view whose tables, routines or rights are not there."""
_WRONG_SCHEMA = 1435
_NO_SUCH_THREAD = 1094


class Staging:
    """One attempt to load one dump beside."""

    def __init__(self, address: Address, dump: Dump, attempt: Attempt, guard: Guard) -> None:
        self._address = nearest(address)
        self._dump = dump
        self._attempt = attempt
        self._guard = guard
        self._plan = placements(dump, attempt)
        self._places = {each.final: each.staged for each in self._plan}

    def run(self, fetch: Fetch) -> Inventory:
        with translated(self._guard), connect(self._address) as admin:
            give_up = self._guard.adopt(admin.cut)
            try:
                return self._run(admin, fetch)
            finally:
                give_up()

    def _run(self, admin: Session, fetch: Fetch) -> Inventory:
        become_only(admin, self._attempt)
        clear(admin, self._attempt)
        book = Book(admin, self._attempt)
        book.open()
        for each in self._plan:
            admin.execute(
                f"CREATE DATABASE {name(each.staged)} CHARACTER SET {each.charset}"
                f" COLLATE {each.collation}"
            )
        codes = self._load(admin, fetch)
        counts = self._count(admin, codes)
        self._rehearse(admin, codes)
        accounts, readying = self._accounts(fetch), self._readying(codes)
        book.write(self._plan, self._final(codes), accounts, readying)
        return merged(counts)

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

    def _count(self, admin: Session, codes: Sequence[Code]) -> dict[str, Count]:
        history = bool(self._dump.facts.get("history"))
        counts: dict[str, Count] = {}
        begin_snapshot(admin)
        for each in self._plan:
            self._guard.check()
            found = count(admin, each.staged, each.final, history=history)
            kinds = dict(found.objects)
            for one in codes:
                if one.database == each.final and not one.name.endswith(" BODY"):
                    kinds[one.kind] = kinds.get(one.kind, 0) + 1
            counts[each.final] = Count(found.tables, kinds)
        admin.execute("COMMIT")
        return counts

    def _rehearse(self, admin: Session, codes: Sequence[Code]) -> None:
        """Makes everything once beside, so that the swap does not find out what is wrong with it.

        Events are not tried: they would run. Neither can be what looks into other databases, nor
        what names its own.
        """
        tried = [e for e in codes if e.kind != "events" and not judge(e.statement).database]
        refused = code.make(admin, tried, lambda database: self._places[database])
        for each in self._plan:
            code.drop(admin, each.staged)
        wrong = [each for each in refused if not self._looks_elsewhere(each, refused)]
        if wrong:
            listed = "; ".join(each.sentence() for each in wrong[:5])
            raise RestoreDiffers(f"the server does not take {listed}")
        for each in refused:
            self._attempt.say(f"could not be tried beforehand: {each.sentence()}")

    def _looks_elsewhere(self, refused: Refused, others: Sequence[Refused]) -> bool:
        """Does it, or a view that it needs, name another database of the dump?"""
        if number(refused.why) == _WRONG_SCHEMA:  # a trigger that says where its table is
            return True
        if number(refused.why) not in _LOOKS_ELSEWHERE:
            return False
        if refused.code.kind == "triggers":
            return refused.code.database.encode() in refused.code.statement
        if refused.code.kind != "views":
            return False
        names = [*self._places, *(each.code.name for each in others if each is not refused)]
        text = refused.code.statement
        return any(re.search(re.escape(name(each).encode()), text) for each in names)

    def _accounts(self, fetch: Fetch) -> list[str]:
        found: list[str] = []
        for member in self._dump.members:
            if member.format == archive.ACCOUNTS:
                text = b"".join(fetch(member.name)).decode()
                found += [line.removesuffix(";") for line in text.splitlines() if line[:2] != "--"]
        return found


class ConfinedStaging(Staging):
    """Beside what a managed server holds: nothing that came runs with more than its owner has."""

    def _load(self, admin: Session, fetch: Fetch) -> list[Code]:
        owner = str(self._address.owner)
        return [definers.bounded(each, owner) for each in super()._load(admin, fetch)]

    def _rehearse(self, admin: Session, codes: Sequence[Code]) -> None:
        """As ours: no account of the owner's reaches a staged database, so nobody runs it there."""
        super()._rehearse(admin, [definers.owned(each, by_owner=False) for each in codes])


def recorded(dump: Dump) -> list[Facts]:
    found = dump.facts.get("databases")
    if not isinstance(found, list):
        raise NotSupported("the dump does not say which databases it holds")
    return [dict(entry) for entry in found]  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]


def section(dump: Dump, wanted: str) -> Mapping[str, object]:
    found = dump.facts.get(wanted)
    if not isinstance(found, dict):
        raise NotSupported(f"the dump says nothing of its {wanted}")
    return dict(found)  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]


def placements(dump: Dump, attempt: Attempt) -> list[Placement]:
    """Which database goes where: the same answer for every attempt that goes on with one stage."""
    prefix = naming.stage_prefix(attempt)
    return [
        Placement(
            str(database["name"]),
            f"{prefix}{number}",
            _word(database["charset"]),
            _word(database["collation"]),
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
    mine = databases(admin, naming.stages_prefix(attempt.op))
    staged = [each for each in mine if naming.is_older_stage(each, attempt)]
    for each in sorted(staged, key=lambda each: each.endswith(naming.BOOK)):  # books go last
        drop_database(admin, each)
    return bool(staged)


def become_only(session: Session, attempt: Attempt) -> None:
    """Ends the sessions in which attempts up to this one act, and makes sure that this is the one
    to act now. From here on the next attempt ends this session before it does anything, so however
    long this one is paused between two statements, it does not go on beside the other."""
    attempt.confirm()
    for earlier in range(attempt.number + 1):
        _end_holder(session, naming.session_lock(attempt.op, earlier))
    own = naming.session_lock(attempt.op, attempt.number)
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
    return [str(each["name"]) for each in facts.databases(session)]
