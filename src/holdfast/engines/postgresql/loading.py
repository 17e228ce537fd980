"""Loads a dump that somebody else made, statement by statement, as a role that can do little.

The role is made for this load, may log in and nothing more, and owns the staged database. So a
dump may build whatever it likes inside its database, but the server refuses it programs, files,
other databases and roles. Afterwards the role goes, and what it made belongs to one that nobody
can log in as and that is no superuser either: the server runs functions in indexes with the rights
of a table's owner, long after the load. Where the target's user is no superuser no role can be
made, and that user loads.
"""

import re
import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import replace

import psycopg
from psycopg.sql import SQL, Composed, Identifier, Literal

from holdfast.contracts.engine import Address, Attempt, Fetch, Inventory
from holdfast.domain.errors import AddonRefused, EvidenceMissing
from holdfast.engines.postgresql import foreign, properties, tools
from holdfast.engines.postgresql.address import Session, connect
from holdfast.engines.postgresql.complaints import translated
from holdfast.engines.postgresql.facts import Facts
from holdfast.engines.postgresql.globals import Sorted, Target
from holdfast.engines.postgresql.layout import Placement
from holdfast.engines.postgresql.looking import Seen
from holdfast.engines.postgresql.naming import short
from holdfast.engines.postgresql.script import Rows, Script, Statement
from holdfast.engines.postgresql.session import watched
from holdfast.engines.postgresql.staging import Staging
from holdfast.engines.postgresql.yielding import EXTENSIONS
from holdfast.kit.seal import Secret

_LEFT_OUT: Sequence[tuple[str, str]] = (
    (r"ALTER .+ OWNER TO \S+$", "owners: all belongs to the addon's user"),
    (r"(GRANT|REVOKE|ALTER DEFAULT PRIVILEGES)\b", "privileges"),
    (r"SECURITY LABEL\b", "security labels"),
    (r"SET (SESSION AUTHORIZATION|ROLE)\b", "changes of the role"),
    (r"SET default_tablespace\b", "tablespaces"),
    (r"(CREATE|ALTER|DROP|COMMENT ON) DATABASE\b", "statements about the database itself"),
    (r"COMMENT ON EXTENSION\b", "comments on extensions"),
    (r"(CREATE|COMMENT ON) SCHEMA public\b", "statements about the schema public"),
)
_NEEDS_SUPERUSER = re.compile(
    r"(CREATE|ALTER|COMMENT ON) (PUBLICATION|EVENT TRIGGER|SUBSCRIPTION)\b", re.IGNORECASE
)
_NEVER_LOADED = frozenset({"event triggers"})
"""Kinds of counted objects among what needs a superuser."""
_SCHEMA_OF = re.compile(rf"WITH SCHEMA {foreign.NAME}", re.IGNORECASE)
_ENCODING = re.compile(r"SET client_encoding\s*(?:=|TO)\s*'?([\w-]+)", re.IGNORECASE)
_STRINGS = re.compile(r"SET standard_conforming_strings\s*(?:=|TO)\s*'?off", re.IGNORECASE)
_UNSAFE = {"SJIS", "SHIFT_JIS_2004", "BIG5", "GBK", "UHC", "GB18030", "JOHAB"}
"""Encodings in which a quote may be half of a character; PostgreSQL has them for clients only."""


OWNER = "holdfast_imported"
"""Owns what came with dumps that somebody else made."""


def loader_name(attempt: Attempt) -> str:
    return f"holdfast_load_{short(attempt.op)}"


def creation_of(address: Address, loader: str, password: Secret) -> str:
    """The server is given a verifier: its log must not learn the password. Row security must not
    keep rows from being counted."""
    with connect(address) as session:
        verifier = session.pgconn.encrypt_password(
            password.reveal().encode(), loader.encode(), b"scram-sha-256"
        )
        made = SQL("CREATE ROLE {} LOGIN BYPASSRLS PASSWORD {}").format(
            Identifier(loader), Literal(verifier.decode())
        )
        return made.as_string(session)


class ForeignStaging(Staging):
    """One attempt to load one dump of unknown hands beside."""

    _password = Secret("")

    def run(self, fetch: Fetch) -> Inventory:
        loaded = super().run(fetch)
        self._drop_loader()
        return replace(loaded, left_out=_NEVER_LOADED)

    @property
    def _loader(self) -> str:
        return loader_name(self._attempt)

    def _globals(self, fetch: Fetch, target: Target) -> Sorted:  # noqa: ARG002 - its own are left out
        if not target.superuser:
            return Sorted(notes=[f"loading as {self._address.user}, who is no superuser"])
        self._password = Secret(secrets.token_urlsafe(32))
        creation = creation_of(self._address, self._loader, self._password)
        plan = Sorted(needed=[creation], made=[self._loader])
        if OWNER not in target.roles:
            plan.needed.append(f"CREATE ROLE {OWNER}")
            plan.made.append(OWNER)
        return plan

    def _restore(
        self,
        placement: Placement,
        fetch: Fetch,
        server: Facts,  # noqa: ARG002
        target: Target,
        ready: Callable[[], None],
    ) -> Seen:
        ready()
        member = next(m for m in self._dump.members if m.name == placement.member)
        address = self._address
        if target.superuser:
            self._give_to_loader(placement.staged)
            address = replace(address, user=self._loader, password=self._password, owner=None)
            self._loader_address = address
        with (
            translated(self._guard),
            connect(address, placement.staged, self._application) as session,
            watched(session, self._guard),
            self._helper(placement.staged, target) as helper,
            foreign.script(tools.newest(self._tools_dir), member, fetch(member.name)) as script,
        ):
            self._run(session, helper, script)
        return Seen()

    def _finish(self, session: Session, placement: Placement) -> None:
        """Counted and analysed as the loader, before what it made is somebody else's."""
        if self._loader_address != self._address:
            self._take_from_loader(placement.staged)
            self._loader_address = self._address
        super()._finish(session, placement)

    def _helper(self, staged: str, target: Target):
        """A session that may make extensions which the loader may not."""
        if not target.superuser:
            return nullcontext(None)
        return connect(self._address, staged, self._application)

    def _give_to_loader(self, staged: str) -> None:
        with self._maintenance() as session:
            session.execute(
                SQL("ALTER DATABASE {} OWNER TO {}").format(
                    Identifier(staged), Identifier(self._loader)
                )
            )

    def _take_from_loader(self, staged: str) -> None:
        loader, owner = Identifier(self._loader), Identifier(OWNER)
        with (
            translated(self._guard),
            connect(self._address, staged, self._application) as session,
            session.transaction(),
        ):
            session.execute(SQL("REASSIGN OWNED BY {} TO {}").format(loader, owner))
            session.execute(SQL("DROP OWNED BY {}").format(loader))
            if self._address.owner is not None:  # who is no superuser, and has to get at it
                member = Identifier(self._address.owner)
                session.execute(SQL("GRANT {} TO {}").format(owner, member))
            session.execute(
                SQL("ALTER DATABASE {} OWNER TO {}").format(
                    Identifier(staged), Identifier(self._address.owner or self._address.user)
                )
            )

    def _drop_loader(self) -> None:
        with self._maintenance() as session:
            session.execute(SQL("DROP ROLE IF EXISTS {}").format(Identifier(self._loader)))

    def _settings(self, session: Session, staged: str, recorded: Facts) -> Iterator[Composed]:
        """Only those that any role may change for itself."""
        own = {**recorded, "settings": [e for e in recorded["settings"] if e["role"] is None]}
        names = {
            setting.partition("=")[0].lower() for e in own["settings"] for setting in e["settings"]
        }
        rows = session.execute(
            "SELECT lower(name) FROM pg_settings WHERE context = 'user' AND lower(name) = ANY(%s)",
            [sorted(names - {"local_preload_libraries"})],
        )
        harmless = {str(row[0]) for row in rows}
        for name in sorted(names - harmless):
            self._attempt.say(f"left out: the setting {name} of {staged}")
        kept = [
            {**e, "settings": [s for s in e["settings"] if s.partition("=")[0].lower() in harmless]}
            for e in own["settings"]
        ]
        return properties.settings(staged, {**own, "settings": kept})

    def _run(self, session: Session, helper: Session | None, script: Script) -> None:
        notes: set[str] = set()
        for item in script.items():
            self._guard.check()
            match item:
                case Statement(text):
                    note = self._execute(session, helper, text)
                    if note is not None and note not in notes:
                        notes.add(note)
                        self._attempt.say(f"left out: {note}")
                case Rows(text, chunks):
                    _copy(session, text, chunks)
                case _:
                    continue

    def _execute(self, session: Session, helper: Session | None, text: bytes) -> str | None:
        """What was left out, if it was."""
        head = " ".join(text[:4096].decode(errors="replace").split())
        for pattern, what in _LEFT_OUT:
            if re.match(pattern, head, re.IGNORECASE):
                return what
        _require_safe(head)
        try:
            session.execute(text)
        except psycopg.errors.UndefinedObject:
            if not re.match(r"SET\b", head, re.IGNORECASE):
                raise
            return f"a setting this server does not know: {head[:60]}"
        except psycopg.errors.InsufficientPrivilege:
            if helper is not None and head.upper().startswith("CREATE EXTENSION"):
                self._make_extension(helper, head)
            elif not _NEEDS_SUPERUSER.match(head):
                raise
            else:
                return f"what needs a superuser: {head[:60]}"
        return None

    def _make_extension(self, helper: Session, head: str) -> None:
        """Only its name and schema are taken from the dump."""
        found = foreign.EXTENSION.match(head)
        if found is None:
            raise EvidenceMissing(f"not understood: {head[:80]}")
        name = foreign.unquoted(found, 1)
        if self._address.owner is not None and name not in EXTENSIONS:
            raise AddonRefused(f"extension {name} is not among those that this server may have")
        statement = SQL("CREATE EXTENSION IF NOT EXISTS {}").format(Identifier(name))
        schema = _SCHEMA_OF.search(head)
        if schema is not None:
            statement += SQL(" WITH SCHEMA {}").format(Identifier(foreign.unquoted(schema, 1)))
        helper.execute(statement)


def _require_safe(head: str) -> None:
    """What would make our reading of quotes differ from the server's."""
    encoding = _ENCODING.match(head)
    if encoding is not None and encoding[1].upper() in _UNSAFE:
        raise EvidenceMissing(f"a dump in the encoding {encoding[1]} cannot be loaded safely")
    if _STRINGS.match(head):
        raise EvidenceMissing("a dump with standard_conforming_strings off cannot be loaded safely")


def _copy(session: Session, text: bytes, chunks: Iterator[bytes]) -> None:
    with session.cursor() as cursor, cursor.copy(text) as copy:
        for chunk in chunks:
            copy.write(chunk)
