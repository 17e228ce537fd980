"""Carries out the entries of an archive that the session that loads it may not.

The loader is no superuser, because loading runs functions that the owner of the database could
have shaped. Our superuser carries out what is left (owners, grants, objects only superusers may
make), statement by statement, and only statements that run no other code: each is recognised by
its form, and sent in a way that accepts a single one.
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
"""ALTER of a relation can hold several actions, so for relations only this one is accepted."""
_AS = re.compile(rb"SET SESSION AUTHORIZATION ('(?:[^']|'')+'|%b)" % _NAME)
_WRAPPER = re.compile(rb"CREATE FOREIGN DATA WRAPPER (%b)" % _NAME)
_HAS_CODE = re.compile(rb"\b(?:HANDLER|VALIDATOR)\b", re.IGNORECASE)
_STRINGS = re.compile(rb"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"")
_GRANT = re.compile(rb"(?:GRANT|REVOKE|ALTER DEFAULT PRIVILEGES)\b")
_PUBLICATION = re.compile(rb"(?:CREATE|ALTER|COMMENT ON) PUBLICATION\b")
_EVENT_TRIGGER = re.compile(rb"(?:CREATE|COMMENT ON) EVENT TRIGGER\b")


@dataclass
class PrivilegedEntries:
    """The privileged entries of the archive of database `name`, loaded by `loader` into `staged`.

    `address` is the superuser's; `say` writes to the operation's log; `skipped` could not be done.
    """

    tools: ToolSet
    address: Address
    loader: Address
    name: str
    staged: str
    application: str
    guard: Guard
    say: Callable[[str], None]
    extensions: Sequence[tuple[str, str]] = ()
    """Name and schema of extensions that were made before the load."""
    skipped: list[Skipped] = field(default_factory=list[Skipped])
    _withheld: list[str] = field(default_factory=list[str])

    def withhold(self, lines: Sequence[str]) -> Sequence[str]:
        remaining: list[str] = []
        starts = (*_GRANTS, *_WRAPPERS, *_PUBLISHED, *_WATCHING, *_REFRESHED, *_LEFT_OUT)
        preloaded = tuple(
            start
            for name, schema in self.extensions
            for start in (
                f"EXTENSION - {name} ",
                f"COMMENT - EXTENSION {name} ",
                f"SCHEMA - {schema} ",
            )
        )
        for line in lines:
            if _entry(line).startswith(starts):
                self._withheld.append(line)
            elif not _entry(line).startswith(preloaded):
                remaining.append(line)
        return remaining

    def begin(self, head: str) -> None:
        """Makes foreign data wrappers without code, which reach nothing; only superusers may own
        them."""
        wrappers = self._of(_WRAPPERS)
        if not wrappers:
            return
        with self._session(self.address) as session:
            for statement in self._statements(head, wrappers):
                match = _WRAPPER.match(statement)
                if match is None or _HAS_CODE.search(_STRINGS.sub(b"", statement)):
                    continue
                _execute_single(session, statement)
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
        if self._of(_PUBLISHED):  # as the loader: only a superuser may publish all tables
            with self._session(self.loader) as session:
                for statement in self._statements(head, self._of(_PUBLISHED)):
                    if _PUBLICATION.match(statement) and not _OWNER.fullmatch(statement):
                        self._unless_refused(session, statement)
        lines = [line for part in loaded for line in part]
        owners = [line for line in lines if not _entry(line).startswith(_HAS_ROWS)]
        with self._session(self.address) as session:
            self._give_away(session, head, [*owners, *self._of(_PUBLISHED)])
            self._grant(session, head)
            # Made, but disabled: they would run in sessions of all users.
            event_triggers = self._of(_WATCHING)
            for statement in self._statements(head, event_triggers):
                if _EVENT_TRIGGER.match(statement):
                    self._unless_refused(session, statement)
            rows = session.execute("SELECT evtname::text FROM pg_event_trigger").fetchall()
            for (name,) in rows:
                session.execute(SQL("ALTER EVENT TRIGGER {} DISABLE").format(Identifier(name)))
            if event_triggers:
                self.say("event triggers are there and disabled: only a superuser may have them")
        return self._of(_REFRESHED)

    def _of(self, starts: tuple[str, ...]) -> list[str]:
        return [line for line in self._withheld if _entry(line).startswith(starts)]

    def _session(self, address: Address) -> Session:
        with translated(self.guard):
            return connect(address, self.staged, self.application)

    def _statements(self, head: str, lines: Sequence[str]) -> Iterator[bytes]:
        """The statements of `lines`, as pg_restore writes them."""
        if not lines:
            return
        with file_of(load_plan.text(lines)) as list_file:
            command = commands.pg_restore_statements(self.tools, list_file, head)
            text = require_success(run(command, timeout=600)).stdout
        for item in Script(iter([text])).items():
            self.guard.check()
            if isinstance(item, Statement):
                yield item.text

    def _unless_refused(self, session: Session, statement: bytes) -> None:
        """Executes a statement; one that is refused, or belongs to a refused publication, is
        named."""
        try:
            _execute_single(session, statement)
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
        """Gives each object the owner it had, but never to a superuser.

        The loader becomes a member of the owners, for it makes their grants.
        """
        roles: set[str] = set()
        for statement in self._statements(head, lines):
            match = _OWNER.fullmatch(statement)
            if match is None:
                continue
            role, text = _unquoted(match["owner"]), statement
            if role == self.address.user:
                role = str(self.address.owner)
                quoted = b'"' + role.replace('"', '""').encode() + b'"'
                text = statement[: match.start("owner")] + quoted
            roles.add(role)
            self._unless_refused(session, text)
        for role in sorted(roles - {"pg_database_owner", self.loader.user}):
            session.execute(
                SQL("GRANT {} TO {}").format(Identifier(role), Identifier(self.loader.user))
            )

    def _grant(self, session: Session, head: str) -> None:
        """Grants as the object's owner or the grantor in the archive, never as a superuser.

        So only grants are made that these roles may make. Grants to our superuser are left out.
        """
        ours = re.compile(rb'\b(?:TO|FROM|ROLE) "?%b\b' % self.address.user.encode())
        grantor = self.loader.user
        for statement in self._statements(head, self._of(_GRANTS)):
            match = _AS.fullmatch(statement)
            if match is not None:
                grantor = _unquoted(match[1])
            elif statement == b"RESET SESSION AUTHORIZATION":
                grantor = self.loader.user
            elif _GRANT.match(statement) and not ours.search(statement):
                user = self.loader.user if grantor == self.address.user else grantor
                session.execute(SQL("SET SESSION AUTHORIZATION {}").format(Identifier(user)))
                try:
                    self._unless_refused(session, statement)
                finally:
                    session.execute("RESET SESSION AUTHORIZATION")


def _words(statement: bytes) -> str:
    return " ".join(statement[:100].decode("utf-8", "replace").split())


def _execute_single(session: Session, statement: bytes) -> None:
    """Executes a single statement: the server refuses two that are sent like this."""
    session.execute(statement, binary=True)


def _entry(line: str) -> str:
    match = _ENTRY.match(line)
    return match[1] if match else ""


def _unquoted(name: bytes) -> str:
    text = name.decode()
    if text[0] in "\"'":
        return text[1:-1].replace(text[0] * 2, text[0])
    return text.lower()
