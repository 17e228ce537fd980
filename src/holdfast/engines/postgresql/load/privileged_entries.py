"""What of an archive the session that loads it may not do: owners, grants, what is a superuser's.

Whoever loads is no superuser, because loading runs functions that the owner of the database could
have shaped. Our superuser does what is left, statement by statement, and only statements that run
nothing: each is recognised by its form, and sent in a way that takes a single one.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import psycopg
from psycopg.sql import SQL, Identifier

from holdfast.contracts.engine import Address, Skipped
from holdfast.engines.postgresql.client import commands
from holdfast.engines.postgresql.client.address import Session, connect
from holdfast.engines.postgresql.client.server_errors import translated
from holdfast.engines.postgresql.client.tools import ToolSet
from holdfast.engines.postgresql.dump.script import Script, Statement
from holdfast.engines.postgresql.load import load_plan
from holdfast.engines.postgresql.load.load_plan import Lists
from holdfast.kit.processes.guard import Guard
from holdfast.kit.processes.memfile import file_of
from holdfast.kit.processes.process import require_success, run

_ENTRY = re.compile(r"^\d+; \d+ \d+ (.+)$")
_GRANTS = ("ACL ", "DEFAULT ACL ")
_PUBLISHED = ("PUBLICATION ", "COMMENT - PUBLICATION ")
_WATCHING = ("EVENT TRIGGER ", "COMMENT - EVENT TRIGGER ")
_REFRESHED = ("MATERIALIZED VIEW DATA ",)
_WRAPPERS = ("FOREIGN DATA WRAPPER ",)
_LEFT_OUT = {
    "SUBSCRIPTION ": "subscriptions: they would run as the server's administrator",
    "COMMENT - SUBSCRIPTION ": "subscriptions: they would run as the server's administrator",
    "SECURITY LABEL ": "security labels",
}
_HAS_ROWS = ("TABLE DATA ", "BLOBS ", "SEQUENCE SET ", "MATERIALIZED VIEW DATA ")

_NAME = rb'(?:"(?:[^"]|"")+"|[A-Za-z_\x80-\xff][\w$\x80-\xff]*)'
_OWNER = re.compile(
    rb"ALTER (?:(?:TABLE|VIEW|MATERIALIZED VIEW|SEQUENCE|FOREIGN TABLE|TYPE|DOMAIN)"
    rb" (?:ONLY )?%(name)b(?:\.%(name)b)?"
    rb"|(?:FUNCTION|PROCEDURE|AGGREGATE|OPERATOR|SCHEMA|COLLATION|CONVERSION|TEXT SEARCH"
    rb"|STATISTICS|PUBLICATION|SERVER|LARGE OBJECT|PROCEDURAL LANGUAGE|LANGUAGE)\b.*)"
    rb" OWNER TO (?P<owner>%(name)b)" % {b"name": _NAME},
    re.DOTALL,
)
"""Of relations a statement could change more at once, so for them nothing else is let through."""
_AS = re.compile(rb"SET SESSION AUTHORIZATION ('(?:[^']|'')+'|%b)" % _NAME)
_WRAPPER = re.compile(rb"CREATE FOREIGN DATA WRAPPER (%b)" % _NAME)
_HAS_CODE = re.compile(rb"\b(?:HANDLER|VALIDATOR)\b", re.IGNORECASE)
_STRINGS = re.compile(rb"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"")
_GRANT = re.compile(rb"(?:GRANT|REVOKE|ALTER DEFAULT PRIVILEGES)\b")
_PUBLICATION = re.compile(rb"(?:CREATE|ALTER|COMMENT ON) PUBLICATION\b")
_EVENT_TRIGGER = re.compile(rb"(?:CREATE|COMMENT ON) EVENT TRIGGER\b")


@dataclass
class HandOver:
    """One archive of database `name` that was loaded as `loader` into the one that is `staged`.
    `address` is the superuser's; `say` writes to the operation's log; `skipped` could not be
    done."""

    tools: ToolSet
    address: Address
    loader: Address
    name: str
    staged: str
    application: str
    guard: Guard
    say: Callable[[str], None]
    extensions: Sequence[tuple[str, str]] = ()
    """Name and schema of those that were made beforehand."""
    skipped: list[Skipped] = field(default_factory=list[Skipped])
    _taken: list[str] = field(default_factory=list[str])

    def others(self, lines: Sequence[str]) -> Sequence[str]:
        remaining: list[str] = []
        for line in lines:
            (self._taken if self._is_apart(line) else remaining).append(line)
        return [line for line in remaining if not self._is_made(line)]

    def _is_apart(self, line: str) -> bool:
        starts = (*_GRANTS, *_WRAPPERS, *_PUBLISHED, *_WATCHING, *_REFRESHED, *_LEFT_OUT)
        return _entry(line).startswith(starts)

    def _is_made(self, line: str) -> bool:
        return any(
            _entry(line).startswith(
                (f"EXTENSION - {name} ", f"COMMENT - EXTENSION {name} ", f"SCHEMA - {schema} ")
            )
            for name, schema in self.extensions
        )

    def begin(self, head: str) -> None:
        """Wrappers of foreign data belong to superusers. One without code reaches nothing."""
        wrappers = self._of(_WRAPPERS)
        if not wrappers:
            return
        with self._session(self.address) as session:
            for statement in self._statements(head, wrappers):
                match = _WRAPPER.match(statement)
                if match is None or _HAS_CODE.search(_STRINGS.sub(b"", statement)):
                    continue
                _one(session, statement)
                session.execute(
                    SQL("GRANT USAGE ON FOREIGN DATA WRAPPER {} TO {}, {}").format(
                        Identifier(_unquoted(match[1])),
                        Identifier(self.loader.user),
                        Identifier(str(self.address.owner)),
                    )
                )

    def run(self, head: str, loaded: Lists) -> Sequence[str]:
        for text in {_LEFT_OUT[start] for start in _LEFT_OUT if self._of((start,))}:
            self.say(f"left out: {text}")
        self._publish(head)
        lines = [line for part in loaded for line in part]
        owners = [line for line in lines if not _entry(line).startswith(_HAS_ROWS)]
        with self._session(self.address) as session:
            self._give_away(session, head, [*owners, *self._of(_PUBLISHED)])
            self._grant(session, head)
            self._watch(session, head)
        return self._of(_REFRESHED)

    def _of(self, starts: tuple[str, ...]) -> list[str]:
        return [line for line in self._taken if _entry(line).startswith(starts)]

    def _session(self, address: Address) -> Session:
        with translated(self.guard):
            return connect(address, self.staged, self.application)

    def _statements(self, head: str, lines: Sequence[str]) -> Iterator[bytes]:
        """What pg_restore would carry out for these entries."""
        if not lines:
            return
        with file_of(load_plan.text(lines)) as list_file:
            command = commands.pg_restore_statements(self.tools, list_file, head)
            text = require_success(run(command, timeout=600)).stdout
        for item in Script(iter([text])).items():
            self.guard.check()
            if isinstance(item, Statement):
                yield item.text

    def _publish(self, head: str) -> None:
        """As who loads: publications of all tables are a superuser's."""
        lines = self._of(_PUBLISHED)
        if not lines:
            return
        with self._session(self.loader) as session:
            for statement in self._statements(head, lines):
                if _PUBLICATION.match(statement) and not _OWNER.fullmatch(statement):
                    self._unless_refused(session, statement)

    def _unless_refused(self, session: Session, statement: bytes) -> None:
        """Also what belongs to a publication that was refused."""
        try:
            _one(session, statement)
        except psycopg.errors.InsufficientPrivilege:
            self._tell(statement)
        except psycopg.errors.UndefinedObject as error:
            if b" PUBLICATION " in statement[:40]:
                self._tell(statement)
            else:
                self._skip(statement, error)
        except psycopg.Error as error:
            if session.broken or isinstance(error, psycopg.errors.QueryCanceled):
                raise
            self._skip(statement, error)

    def _tell(self, statement: bytes) -> None:
        self.say(f"left out, for only a superuser may: {_words(statement)}")

    def _skip(self, statement: bytes, error: psycopg.Error) -> None:
        reason = " ".join(str(error).split())
        self.skipped.append(Skipped(self.name, "", _words(statement), reason))

    def _give_away(self, session: Session, head: str, lines: Sequence[str]) -> None:
        """Everything gets the owner it had; nothing is ever given to a superuser."""
        roles: set[str] = set()
        for statement in self._statements(head, lines):
            match = _OWNER.fullmatch(statement)
            if match is None:
                continue
            role, text = _unquoted(match["owner"]), statement
            if role == self.address.user:
                role = str(self.address.owner)
                text = statement[: match.start("owner")] + _quoted(role)
            roles.add(role)
            self._unless_refused(session, text)
        self._join(session, roles)

    def _join(self, session: Session, roles: set[str]) -> None:
        """The owners' grants are made by who loaded, as a member of each of them."""
        for role in sorted(roles - {"pg_database_owner", self.loader.user}):
            session.execute(
                SQL("GRANT {} TO {}").format(Identifier(role), Identifier(self.loader.user))
            )

    def _grant(self, session: Session, head: str) -> None:
        """As the object's owner or whom the archive names, never as a superuser: what they may not
        give they do not give here."""
        grantor = self.loader.user
        for statement in self._statements(head, self._of(_GRANTS)):
            match = _AS.fullmatch(statement)
            if match is not None:
                grantor = _unquoted(match[1])
            elif statement == b"RESET SESSION AUTHORIZATION":
                grantor = self.loader.user
            elif _GRANT.match(statement) and not self._concerns_us(statement):
                self._as(session, grantor, statement)

    def _concerns_us(self, statement: bytes) -> bool:
        """A right of ours needs no grant."""
        pattern = rb'\b(?:TO|FROM|ROLE) "?%b\b' % self.address.user.encode()
        return re.search(pattern, statement) is not None

    def _as(self, session: Session, grantor: str, statement: bytes) -> None:
        user = self.loader.user if grantor == self.address.user else grantor
        session.execute(SQL("SET SESSION AUTHORIZATION {}").format(Identifier(user)))
        try:
            self._unless_refused(session, statement)
        finally:
            session.execute("RESET SESSION AUTHORIZATION")

    def _watch(self, session: Session, head: str) -> None:
        """Event triggers run as whoever comes by, so they are kept and stay silent."""
        lines = self._of(_WATCHING)
        for statement in self._statements(head, lines):
            if _EVENT_TRIGGER.match(statement):
                self._unless_refused(session, statement)
        for (name,) in session.execute("SELECT evtname::text FROM pg_event_trigger").fetchall():
            session.execute(SQL("ALTER EVENT TRIGGER {} DISABLE").format(Identifier(name)))
        if lines:
            self.say("event triggers are there and disabled: only a superuser may have them")


def _words(statement: bytes) -> str:
    return " ".join(statement[:100].decode("utf-8", "replace").split())


def _one(session: Session, statement: bytes) -> None:
    """A single statement: the server refuses two that are sent like this."""
    session.execute(statement, binary=True)


def _entry(line: str) -> str:
    match = _ENTRY.match(line)
    return match[1] if match else ""


def _unquoted(name: bytes) -> str:
    text = name.decode()
    if text[0] in "\"'":
        return text[1:-1].replace(text[0] * 2, text[0])
    return text.lower()


def _quoted(role: str) -> bytes:
    return b'"' + role.replace('"', '""').encode() + b'"'
