"""Runs a script's statements in staging databases, as a user with rights on nothing else.

Statements are checked and sent one by one over a session of ours: no stock client reads them, so
nothing in them can reach this machine. Definitions that name their own database are kept for later.
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
from holdfast.engines.mysql.client.connection import (
    Session,
    WireError,
    as_text,
    error_number,
    quote_name,
    quote_pattern,
)
from holdfast.engines.mysql.client.passwords import identified_by
from holdfast.engines.mysql.client.server_errors import LOST, error_text
from holdfast.engines.mysql.client.tools import MARIADB, MYSQL
from holdfast.engines.mysql.dump.script import (
    MAX_STATEMENT_BYTES,
    redirect_table,
    statements,
    with_binary_values,
    with_row_format,
)
from holdfast.engines.mysql.dump.statement_rules import COLLATION_OF_DATABASE, Fate, judge
from holdfast.engines.mysql.dump.stored_code import Code
from holdfast.kit.processes.guard import Guard
from holdfast.kit.seal import Secret

_STATEMENTS_PER_COMMIT = 32
_NOT_ALLOWED = (1227, 1044, 1045, 1396, 1410)


@dataclass
class Loader:
    """Loads scripts. `staged_names` maps databases of the dump; `codes` are kept for later."""

    session: Session
    staged_names: Mapping[str, str]
    codes: dict[tuple[str, str, str], Code] = field(
        default_factory=dict[tuple[str, str, str], Code]
    )

    def load(self, chunks: Iterator[bytes], first: str | None = None) -> None:
        """Runs a script; statements before any USE belong to the database `first`."""
        self._database = first
        self._settings: dict[str, str] = {}
        self._saved: dict[str, str | None] = {}
        self._pending = 0
        most, row_format = self.session.row(
            "SELECT @@max_allowed_packet, @@innodb_default_row_format"
        )
        self._max_packet, self._needs_row_format = int(most), row_format != "dynamic"
        quoted = {
            quote_name(a).encode(): quote_name(b).encode() for a, b in self.staged_names.items()
        }
        if first is not None:
            self._use(first)
        for statement in statements(chunks):
            self.take(statement, quoted)
        self._commit()

    def take(self, statement: bytes, quoted: dict[bytes, bytes]) -> None:
        verdict = judge(statement)
        self._track_settings(verdict.settings)
        if verdict.fate is Fate.ROWS:
            self._run_rows(statement)
            return
        self._commit()
        if verdict.fate is Fate.USE:
            self._use(verdict.name)
        elif verdict.fate is Fate.CODE:
            if verdict.database not in ("", self._database):
                raise EvidenceMissing(f"a trigger of {self._database} names {verdict.database}")
            if self._database is None:
                raise EvidenceMissing("the dump holds a definition outside of any database")
            # A later definition replaces an earlier one: views have a stand-in first.
            key = (self._database, verdict.kind, verdict.name)
            self.codes[key] = Code(*key, dict(self._settings), statement)
        elif verdict.fate is Fate.RUN:
            if verdict.name:
                statement = redirect_table(statement, quoted)
                # A definition without a row format means DYNAMIC, in which long keys fit; a server
                # may have another default, which sessions cannot change.
                statement = with_row_format(statement) if self._needs_row_format else statement
            self._run(statement)

    def _track_settings(self, settings: Mapping[str, str]) -> None:
        """Follows the session's settings; scripts save and restore them in variables."""
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

    def _use(self, database: str) -> None:
        database = object_names.plain_name(database)
        if database not in self.staged_names:
            raise EvidenceMissing(f"the dump goes to {database}, which it does not announce")
        self._settings.pop(COLLATION_OF_DATABASE, None)
        self._database = database
        self._run(f"USE {quote_name(self.staged_names[database])}".encode())

    def _run_rows(self, statement: bytes) -> None:
        """Runs many INSERTs in one transaction, which needs one sync of the log."""
        if self._pending == 0:
            self._run(b"BEGIN")
        if len(statement) >= self._max_packet:
            # A foreign script can make a backslash an ordinary character.
            mode = str(self.session.value("SELECT @@SESSION.sql_mode"))
            if "NO_BACKSLASH_ESCAPES" not in mode:
                statement = with_binary_values(statement)
        self._run(statement)
        self._pending += 1
        if self._pending == _STATEMENTS_PER_COMMIT:
            self._commit()

    def _commit(self) -> None:
        if self._pending:
            self._pending = 0
            self._run(b"COMMIT")

    def _run(self, statement: bytes) -> None:
        if len(statement) >= self._max_packet:
            raise RestoreDiffers(
                f"a statement of {show_bytes(len(statement))} is more than the target takes: its"
                f" max_allowed_packet is {show_bytes(self._max_packet)}. After SET GLOBAL"
                f" max_allowed_packet = {MAX_STATEMENT_BYTES} there, restore again"
            )
        try:
            self.session.run(statement)
        except WireError as error:
            if error_number(error) in LOST:
                raise
            shown = statement[:80].decode(errors="replace")
            raise RestoreDiffers(
                f"the server refused {shown!r}: {error_text(error)} ({error_number(error)})"
            ) from error


@contextmanager
def loading(
    admin: Session,
    address: Address,
    attempt: Attempt,
    staged_names: Mapping[str, str],
    guard: Guard,
    loader_class: type[Loader] = Loader,
) -> Generator[tuple[Loader, bool]]:
    """Yields the loader, and whether it has a user of its own."""
    restricted = _create_user(admin, address, attempt, staged_names)
    with connect(restricted or address) as session:
        with _allowed_to_set(admin, restricted):
            session_settings.apply_loading_settings(session)
        release = guard.adopt(session.cut)
        try:
            yield loader_class(session, staged_names), restricted is not None
        finally:
            release()
    if restricted is not None:
        drop_user(admin, attempt)


@contextmanager
def _allowed_to_set(admin: Session, loader: Address | None) -> Generator[None]:
    """Lets the loader set all session settings for a moment; MySQL needs a privilege for that."""
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


def _create_user(
    admin: Session, address: Address, attempt: Attempt, staged_names: Mapping[str, str]
) -> Address | None:
    """Creates the loading user; None when we may not create users and load as ourselves."""
    drop_user(admin, attempt)
    loader = object_names.loader_user(attempt.op, attempt.number)
    password = Secret(secrets.token_urlsafe(32))
    user = f"{admin.literal(loader)}@{admin.literal(_host(admin))}"
    try:
        flavour = MARIADB if MARIADB.lower() in admin.banner.lower() else MYSQL
        credentials = identified_by(flavour, password, admin.literal)
        admin.execute(f"CREATE USER {user} {credentials}")
        for staged in staged_names.values():
            admin.execute(f"GRANT ALL PRIVILEGES ON {quote_pattern(staged)}.* TO {user}")
    except WireError as error:
        if error_number(error) not in _NOT_ALLOWED:
            raise
        with suppress(WireError):
            admin.execute(f"DROP USER IF EXISTS {user}")
        return None
    return replace(address, user=loader, password=password)


def _host(admin: Session) -> str:
    """The host from which the server sees us."""
    return str(admin.value("SELECT user()")).rpartition("@")[2]


def drop_user(admin: Session, attempt: Attempt) -> None:
    """Drops the loading users of this attempt and earlier ones, and ends their sessions."""
    for number in range(attempt.number + 1):
        loader = object_names.loader_user(attempt.op, number)
        for (thread,) in admin.rows(
            "SELECT id FROM information_schema.processlist WHERE user = %s", [loader]
        ):
            with suppress(WireError):
                admin.execute(f"KILL {int(thread)}")
        try:
            hosts = admin.rows("SELECT host FROM mysql.user WHERE user = %s", [loader])
        except WireError:
            continue  # this user may not read accounts, so it could not create any
        for (host,) in hosts:
            user = f"{admin.literal(loader)}@{admin.literal(as_text(host))}"
            admin.execute(f"DROP USER IF EXISTS {user}")
