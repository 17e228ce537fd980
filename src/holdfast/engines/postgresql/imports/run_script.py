"""Runs a stranger's script in one session, as the stock client would, as far as that is safe.

Statements that make no data may fail: they are noted and skipped, so that one run reports all that
cannot be made. Data that cannot be loaded ends the run. A file may hold transactions of its own:
then statements that may fail run behind a savepoint.
"""

from collections.abc import Callable

import psycopg
from psycopg.pq import TransactionStatus
from psycopg.sql import SQL, Literal

from holdfast.contracts.engine import Skipped
from holdfast.domain.errors import AddonRefused, EvidenceMissing
from holdfast.engines.postgresql.client.address import Session, copy_rows
from holdfast.engines.postgresql.dump.script import CopyRows, Script, Statement
from holdfast.engines.postgresql.imports import statement_filter
from holdfast.engines.postgresql.imports.script_state import ScriptState
from holdfast.kit.processes.guard import Guard

_HEAD_BYTES = 4096
_SAVEPOINT = "holdfast_may_fail"


class ScriptRun:
    """The run of one script. `skipped`: what could not be made.

    `extend` makes an extension that the session may not make, from its statement; None: no session
    may. `cluster`: the script is of a whole server.
    """

    def __init__(
        self,
        session: Session,
        database: str,
        say: Callable[[str], None],
        guard: Guard,
        *,
        extend: Callable[[str], None] | None,
        cluster: bool,
    ) -> None:
        self._session = session
        self._database = database
        self._say = say
        self._guard = guard
        self._extend = extend
        self._cluster = cluster
        self._state = ScriptState()
        self._encoding = self._state.encoding
        self._has_objects = False
        self._notes: set[str] = set()
        self.skipped: list[Skipped] = []

    def run(self, script: Script, section: str | None) -> None:
        """Runs the statements for the database `section`; None: all statements."""
        for item in script.items():
            self._guard.check()
            self._state.follow(item, script)
            if section is not None and self._state.database != section:
                if not self._state.database and isinstance(item, Statement):
                    self._note_left_out(self._head(item.text))
                continue
            if self._encoding != self._state.encoding:  # the script has changed it
                self._encoding = self._state.encoding
                self._session.execute(
                    SQL("SELECT set_config('client_encoding', {}, false)").format(
                        Literal(self._encoding)
                    )
                )
            match item:
                case Statement(text):
                    self._run_statement(text)
                case CopyRows(text, chunks):
                    self._has_objects = True
                    copy_rows(self._session, statement_filter.without_freeze(text), chunks)
                case _:
                    pass
        if self._session.info.transaction_status != TransactionStatus.IDLE:
            raise EvidenceMissing("the file begins a transaction that it never commits")

    def _head(self, statement: bytes) -> str:
        return " ".join(self._state.text(statement[:_HEAD_BYTES]).split())

    def _note_left_out(self, head: str) -> bool:
        reason = statement_filter.left_out_reason(head, cluster=self._cluster)
        if reason is not None:
            self._note(reason)
        return reason is not None

    def _run_statement(self, text: bytes) -> None:
        head = self._head(text)
        if not self._note_left_out(head) and not self._is_of_public(head):
            if statement_filter.may_fail(head) or head.upper().startswith("CREATE EXTENSION"):
                self._try_statement(text, head)
            else:
                self._session.execute(statement_filter.without_authorization(text, head))
        self._has_objects = self._has_objects or statement_filter.makes_something(head)

    def _is_of_public(self, head: str) -> bool:
        """The schema `public` exists and is empty: a file that drops it first makes it again."""
        if statement_filter.MAKES_PUBLIC.match(head):
            self._session.execute("CREATE SCHEMA IF NOT EXISTS public")
        elif self._has_objects or not statement_filter.DROPS_PUBLIC.match(head):
            return False
        self._note("statements about the schema public")
        return True

    def _note(self, reason: str) -> None:
        if reason not in self._notes:
            self._notes.add(reason)
            self._say(f"left out: {reason}")

    def _try_statement(self, text: bytes, head: str) -> None:
        inside = self._session.info.transaction_status == TransactionStatus.INTRANS
        if inside:
            self._session.execute(f"SAVEPOINT {_SAVEPOINT}")
        try:
            self._session.execute(text)
        except psycopg.Error as error:
            if self._session.closed or isinstance(error, psycopg.OperationalError):
                raise
            if inside:
                self._session.execute(f"ROLLBACK TO {_SAVEPOINT}")
            self._handle_error(head, error, inside=inside)
        if inside:
            self._session.execute(f"RELEASE {_SAVEPOINT}")

    def _handle_error(self, head: str, error: psycopg.Error, *, inside: bool) -> None:
        note = statement_filter.tolerated_reason(head, error)
        if note is not None:
            self._note(note)
        elif (
            self._extend is not None
            and isinstance(error, psycopg.errors.InsufficientPrivilege)
            and head.upper().startswith("CREATE EXTENSION")
        ):
            if inside:  # else the other session would not see the schema it is for
                self._session.execute("COMMIT")
            try:
                self._extend(head)
            except (AddonRefused, psycopg.Error) as refusal:
                self._skip(head, refusal)
            if inside:
                self._session.execute(f"BEGIN; SAVEPOINT {_SAVEPOINT}")
        elif statement_filter.skippable(head):
            self._skip(head, error)
        else:
            raise error

    def _skip(self, head: str, error: Exception) -> None:
        reason = " ".join(str(error).split())
        self.skipped.append(Skipped(self._database, "", head[:100], reason))
        self._say(f"could not be made: {head[:100]}: {reason}")
