"""Runs a script's statements in staging databases, as a user who may touch nothing else.

Statements go one by one over a session of ours, judged before: no stock client reads them, so
nothing in them can reach this machine. What names its own database is kept for later.
"""

import secrets
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace

from holdfast.contracts.engine import Address, Attempt
from holdfast.domain.errors import EvidenceMissing, RestoreDiffers
from holdfast.domain.units import show_bytes
from holdfast.engines.mysql.client import object_names, session_settings
from holdfast.engines.mysql.client.address import connect
from holdfast.engines.mysql.client.connection import Session, WireError, code, name, pattern
from holdfast.engines.mysql.client.passwords import identified_by
from holdfast.engines.mysql.client.server_errors import LOST, said
from holdfast.engines.mysql.client.tools import MARIADB, MYSQL
from holdfast.engines.mysql.dump.script import (
    LONGEST,
    moved,
    shortened,
    statements,
    with_row_format,
)
from holdfast.engines.mysql.dump.statement_rules import COLLATION_OF_DATABASE, Fate, judge
from holdfast.engines.mysql.dump.stored_code import Code
from holdfast.kit.processes.guard import Guard
from holdfast.kit.seal import Secret

_COMMIT_EVERY = 32
_NOT_ALLOWED = (1227, 1044, 1045, 1396, 1410)


@dataclass
class Loader:
    """`places`: database of the dump to its staging name. `codes`: what was kept for later."""

    session: Session
    places: Mapping[str, str]
    codes: dict[tuple[str, str, str], Code] = field(
        default_factory=dict[tuple[str, str, str], Code]
    )

    def load(self, chunks: Iterator[bytes], first: str | None = None) -> None:
        """`first`: where statements belong that come before any USE."""
        self._database = first
        self._settings: dict[str, str] = {}
        self._saved: dict[str, str | None] = {}
        self._pending = 0
        most, row_format = self.session.row(
            "SELECT @@max_allowed_packet, @@innodb_default_row_format"
        )
        self._most, self._unusual = int(most), row_format != "dynamic"
        quoted = {name(a).encode(): name(b).encode() for a, b in self.places.items()}
        if first is not None:
            self._go(first)
        for statement in statements(chunks):
            self._take(statement, quoted)
        self._commit()

    def _take(self, statement: bytes, quoted: dict[bytes, bytes]) -> None:
        verdict = judge(statement)
        self._note(verdict.settings)
        if verdict.fate is Fate.ROWS:
            self._rows(statement)
            return
        self._commit()
        if verdict.fate is Fate.GO:
            self._go(verdict.name)
        elif verdict.fate is Fate.CODE:
            if verdict.database not in ("", self._database):
                raise EvidenceMissing(f"a trigger of {self._database} names {verdict.database}")
            self._keep(verdict.kind, verdict.name, statement)
        elif verdict.fate is Fate.RUN:
            self._run(self._beside(statement, quoted) if verdict.name else statement)

    def _beside(self, statement: bytes, quoted: dict[bytes, bytes]) -> bytes:
        """A table or sequence as it is made beside.

        A definition that names no row format means the usual one, in which long keys fit; a server
        may have another default, and sessions cannot change it.
        """
        beside = moved(statement, quoted)
        return with_row_format(beside) if self._unusual else beside

    def _note(self, settings: Mapping[str, str]) -> None:
        """Keeps what the session's settings are now; scripts put them aside in variables."""
        for setting, value in settings.items():
            if setting.startswith("@"):
                source = value.lower().removeprefix("@@").removeprefix("session.")
                self._saved[setting] = self._settings.get(source)
            elif not value.startswith("@"):
                self._settings[setting] = value
            elif (saved := self._saved.get(value.lower())) is not None:
                self._settings[setting] = saved
            else:
                self._settings.pop(setting, None)

    def _go(self, database: str) -> None:
        database = object_names.plain(database)
        if database not in self.places:
            raise EvidenceMissing(f"the dump goes to {database}, which it does not announce")
        self._settings.pop(COLLATION_OF_DATABASE, None)
        self._database = database
        self._run(f"USE {name(self.places[database])}".encode())

    def _keep(self, kind: str, object_name: str, statement: bytes) -> None:
        """A later statement for the same name is the real one: views have a stand-in first."""
        if self._database is None:
            raise EvidenceMissing("the dump holds a definition outside of any database")
        key = (self._database, kind, object_name)
        self.codes[key] = Code(*key, dict(self._settings), statement)

    def _rows(self, statement: bytes) -> None:
        """Many in one transaction: one sync of the log for all of them."""
        if self._pending == 0:
            self._run(b"BEGIN")
        self._run(statement if len(statement) < self._most else self._shortened(statement))
        self._pending += 1
        if self._pending == _COMMIT_EVERY:
            self._commit()

    def _shortened(self, rows: bytes) -> bytes:
        """A script of a stranger can say that a backslash is an ordinary character."""
        mode = str(self.session.value("SELECT @@SESSION.sql_mode"))
        return rows if "NO_BACKSLASH_ESCAPES" in mode else shortened(rows)

    def _commit(self) -> None:
        if self._pending:
            self._pending = 0
            self._run(b"COMMIT")

    def _run(self, statement: bytes) -> None:
        if len(statement) >= self._most:
            raise RestoreDiffers(
                f"a statement of {show_bytes(len(statement))} is more than the target takes: its"
                f" max_allowed_packet is {show_bytes(self._most)}. After SET GLOBAL"
                f" max_allowed_packet = {LONGEST} there, restore again"
            )
        try:
            self.session.run(statement)
        except WireError as error:
            if code(error) in LOST:
                raise
            shown = statement[:80].decode(errors="replace")
            raise RestoreDiffers(
                f"the server refused {shown!r}: {said(error)} ({code(error)})"
            ) from error


@contextmanager
def loading(
    admin: Session,
    address: Address,
    attempt: Attempt,
    places: Mapping[str, str],
    guard: Guard,
    kind: type[Loader] = Loader,
) -> Generator[tuple[Loader, bool]]:
    """The loader, and whether it has a user of its own."""
    restricted = _make_user(admin, address, attempt, places)
    with connect(restricted or address) as session:
        with _may_set(admin, restricted):
            session_settings.loosen(session)
        release = guard.adopt(session.cut)
        try:
            yield kind(session, places), restricted is not None
        finally:
            release()
    if restricted is not None:
        drop_user(admin, attempt)


@contextmanager
def _may_set(admin: Session, loader: Address | None) -> Generator[None]:
    """MySQL lets few sessions change all of their settings; ours keeps what it set meanwhile."""
    if loader is None or MARIADB.lower() in admin.banner.lower():
        yield
        return
    user = f"{admin.literal(loader.user)}@{admin.literal(_host(admin))}"
    with suppress(WireError):
        admin.execute(f"GRANT SESSION_VARIABLES_ADMIN ON *.* TO {user}")
    try:
        yield
    finally:
        with suppress(WireError):
            admin.execute(f"REVOKE SESSION_VARIABLES_ADMIN ON *.* FROM {user}")


def _make_user(
    admin: Session, address: Address, attempt: Attempt, places: Mapping[str, str]
) -> Address | None:
    """None: we may not make users, so the load runs as ourselves."""
    drop_user(admin, attempt)
    loader = object_names.loader(attempt.op, attempt.number)
    password = Secret(secrets.token_urlsafe(32))
    user = f"{admin.literal(loader)}@{admin.literal(_host(admin))}"
    try:
        admin.execute(f"CREATE USER {user} {_identified(admin, password)}")
        for staged in places.values():
            admin.execute(f"GRANT ALL PRIVILEGES ON {pattern(staged)}.* TO {user}")
    except WireError as error:
        if code(error) not in _NOT_ALLOWED:
            raise
        with suppress(WireError):
            admin.execute(f"DROP USER IF EXISTS {user}")
        return None
    return replace(address, user=loader, password=password)


def _identified(admin: Session, password: Secret) -> str:
    flavour = MARIADB if MARIADB.lower() in admin.banner.lower() else MYSQL
    return identified_by(flavour, password, admin.literal)


def _host(admin: Session) -> str:
    """From where the server sees us."""
    return str(admin.value("SELECT user()")).rpartition("@")[2]


def drop_user(admin: Session, attempt: Attempt) -> None:
    """With its sessions; also those of attempts before this one. Not allowed: there is none."""
    for number in range(attempt.number + 1):
        _drop_loader(admin, object_names.loader(attempt.op, number))


def _drop_loader(admin: Session, loader: str) -> None:
    for (thread,) in admin.rows(
        "SELECT id FROM information_schema.processlist WHERE user = %s", [loader]
    ):
        with suppress(WireError):
            admin.execute(f"KILL {int(thread)}")
    try:
        hosts = admin.rows("SELECT host FROM mysql.user WHERE user = %s", [loader])
    except WireError:
        return
    for (host,) in hosts:
        text = host.decode() if isinstance(host, bytes) else str(host)
        admin.execute(f"DROP USER IF EXISTS {admin.literal(loader)}@{admin.literal(text)}")
