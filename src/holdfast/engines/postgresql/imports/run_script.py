"""Runs a stranger's script in one session, as the stock client would, as far as that is safe.

What makes no data and fails is noted and passed over, so that one run tells everything that
cannot be made; data that cannot be loaded ends it. A file may hold transactions of its own: then
what may fail runs behind a savepoint.
"""

from collections.abc import Callable, Iterator

import psycopg
from psycopg.pq import TransactionStatus
from psycopg.sql import SQL, Literal

from holdfast.contracts.engine import Skipped
from holdfast.domain.errors import AddonRefused, EvidenceMissing
from holdfast.engines.postgresql.client.address import Session
from holdfast.engines.postgresql.dump.script import CopyRows, Item, Script, Statement
from holdfast.engines.postgresql.imports import statement_filter
from holdfast.engines.postgresql.imports.script_state import ScriptState
from holdfast.kit.processes.guard import Guard

_HEAD_BYTES = 4096
_SAVEPOINT = "holdfast_may_fail"


class ScriptRun:
    """`extend` makes an extension that the session may not make, from its statement; None: nobody
    may. `cluster`: the script is of a whole server. `skipped`: what could not be made."""

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
        self._course = ScriptState()
        self._encoding = self._course.encoding
        self._made = False
        self._notes: set[str] = set()
        self.skipped: list[Skipped] = []

    def all(self, script: Script, section: str | None) -> None:
        """`section`: the database of the script whose statements are run; None: all are."""
        for item in script.items():
            self._guard.check()
            self._course.follow(item, script)
            if section is None or self._course.database == section:
                self._take(item)
            elif not self._course.database and isinstance(item, Statement):
                reason = statement_filter.left_out_reason(
                    self._head(item.text), cluster=self._cluster
                )
                if reason is not None:
                    self._note(reason)
        if self._session.info.transaction_status != TransactionStatus.IDLE:
            raise EvidenceMissing("the file begins a transaction that it never commits")

    def _take(self, item: Item) -> None:
        if self._encoding != self._course.encoding:  # a statement or a command for psql said so
            self._encoding = self._course.encoding
            self._session.execute(
                SQL("SELECT set_config('client_encoding', {}, false)").format(
                    Literal(self._encoding)
                )
            )
        match item:
            case Statement(text):
                self._statement(text)
            case CopyRows(text, chunks):
                self._made = True
                self._copy(statement_filter.without_freeze(text), chunks)
            case _:
                pass

    def _head(self, statement: bytes) -> str:
        return " ".join(self._course.text(statement[:_HEAD_BYTES]).split())

    def _copy(self, text: bytes, chunks: Iterator[bytes]) -> None:
        with self._session.cursor() as cursor, cursor.copy(text) as copy:
            for chunk in chunks:
                copy.write(chunk)

    def _statement(self, text: bytes) -> None:
        head = self._head(text)
        reason = statement_filter.left_out_reason(head, cluster=self._cluster) or self._of_public(
            head
        )
        if reason is not None:
            self._note(reason)
        elif statement_filter.may_fail(head) or head.upper().startswith("CREATE EXTENSION"):
            self._try(text, head)
        else:
            self._session.execute(statement_filter.without_authorization(text, head))
        self._made = self._made or statement_filter.makes_something(head)

    def _of_public(self, head: str) -> str | None:
        """The schema is there, and empty: what a file drops first, it makes again."""
        if statement_filter.MAKES_PUBLIC.match(head):
            self._session.execute("CREATE SCHEMA IF NOT EXISTS public")
        elif self._made or not statement_filter.DROPS_PUBLIC.match(head):
            return None
        return "statements about the schema public"

    def _note(self, reason: str) -> None:
        if reason not in self._notes:
            self._notes.add(reason)
            self._say(f"left out: {reason}")

    def _try(self, text: bytes, head: str) -> None:
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
            self._pass_over(head, error, inside=inside)
        if inside:
            self._session.execute(f"RELEASE {_SAVEPOINT}")

    def _pass_over(self, head: str, error: psycopg.Error, *, inside: bool) -> None:
        note = statement_filter.tolerated_reason(head, error)
        if note is not None:
            self._note(note)
        elif self._extend is not None and _is_for_helper(head, error):
            if inside:  # or the other session would not see the schema that it is for
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


def _is_for_helper(head: str, error: psycopg.Error) -> bool:
    refused = isinstance(error, psycopg.errors.InsufficientPrivilege)
    return refused and head.upper().startswith("CREATE EXTENSION")
