"""Checks whether a server has the locales of databases, and replaces them on request."""

from collections.abc import Callable

import psycopg
from psycopg.sql import SQL, Composed, Literal

from holdfast.engines.postgresql.client.address import Session
from holdfast.engines.postgresql.client.facts import Facts
from holdfast.engines.postgresql.client.locale_names import install_hint

_ALWAYS_THERE = frozenset({"C", "POSIX"})


def remedy(name: str) -> str:
    """How to get a locale that the server lacks."""
    instruction = install_hint(name)
    other = "restore with another locale (--locale C.UTF-8), which sorts otherwise"
    return (
        f"{instruction}; or {other}"
        if instruction
        else f"no Linux has a locale of that name: {other}"
    )


def has_icu(session: Session) -> bool:
    """Since 16 servers built without ICU list an ICU collation all the same: one is made to find
    out."""
    return _can_make(session, SQL("PROVIDER = icu, LOCALE = 'und'").format())


def has(session: Session, collate: str, ctype: str) -> bool:
    """Does the server have these libc locales, in the encoding of the session's database?"""
    if {collate, ctype} <= _ALWAYS_THERE:
        return True
    options = SQL("LC_COLLATE = {}, LC_CTYPE = {}").format(Literal(collate), Literal(ctype))
    return _can_make(session, options)


def _can_make(session: Session, options: Composed) -> bool:
    """Tries to make a temporary collation, which is never committed."""
    try:
        with session.transaction(force_rollback=True):
            session.execute(SQL("CREATE COLLATION pg_temp.holdfast ({})").format(options))
    except psycopg.errors.InsufficientPrivilege:
        return True  # unknown; CREATE DATABASE will tell, before anything is touched
    except psycopg.Error as error:
        if isinstance(error, psycopg.OperationalError) and session.broken:
            raise
        return False
    return True


def obstacle(session: Session, database: Facts) -> str | None:
    """Why a database of the dump cannot be made with its own locale, and the remedy."""
    if database["provider"] == "i" and not has_icu(session):
        return (
            f"database {database['name']} sorts by ICU ({database['locale']}), and the target's"
            " PostgreSQL was built without: run it with the distribution's programs (apt-get"
            " install postgresql, the same major), or restore with another locale (--locale"
            " C.UTF-8), which sorts otherwise"
        )
    row = session.execute(
        "SELECT pg_encoding_to_char(encoding) FROM pg_database WHERE datname = current_database()"
    ).fetchone()
    if row is None or row[0] != database["encoding"]:
        return None  # a collation of another encoding cannot be tried here
    collate, ctype = str(database["collate"]), str(database["ctype"])
    if has(session, collate, ctype):
        return None
    lacking = next(name for name in (collate, ctype) if not has(session, name, name))
    return (
        f"locale {collate} (ctype {ctype}) of database {database['name']} is not available on the"
        f" target's machine; {remedy(lacking)}"
    )


def adapted(
    session: Session, database: Facts | None, locale: str | None, say: Callable[[str], None]
) -> Facts | None:
    """The facts with the chosen `locale`, where the database's own is not available.

    Rows stay the same; their order and which characters are letters may change.
    """
    if database is None or locale is None or obstacle(session, database) is None:
        return database
    say(f"database {database['name']} is made with locale {locale} instead of its own")
    changed = {"provider": "c", "collate": locale, "ctype": locale, "locale": None}
    return {**database, **changed, "icuRules": None}
