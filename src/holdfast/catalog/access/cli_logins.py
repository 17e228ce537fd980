"""Rows of command lines that wait for a token."""

import hashlib

from sqlalchemy import delete, func, select

from holdfast.catalog.database.session import ReadSession, WriteSession
from holdfast.catalog.schema import CliLogin
from holdfast.kit.seal import Secret


def digest_of(secret: Secret) -> str:
    return hashlib.sha256(f"cli|{secret.reveal()}".encode()).hexdigest()


def waiting(session: ReadSession, digest: str, now: int) -> CliLogin | None:
    """The command line that waits under this link; None once it has its answer, or has gone."""
    rows = select(CliLogin).where(CliLogin.digest == digest, CliLogin.answer.is_(None))
    return session.scalar(rows.where(CliLogin.expires > now))


def of_digest(session: ReadSession, digest: str) -> CliLogin | None:
    return session.scalar(select(CliLogin).where(CliLogin.digest == digest))


def count_of(session: ReadSession, address: str, now: int) -> int:
    """How many command lines of the address wait."""
    rows = select(func.count()).select_from(CliLogin).where(CliLogin.address == address)
    return session.scalar(rows.where(CliLogin.expires > now)) or 0


def forget(session: WriteSession, digest: str) -> None:
    session.execute(delete(CliLogin).where(CliLogin.digest == digest))


def forget_ended(session: WriteSession, now: int) -> None:
    session.execute(delete(CliLogin).where(CliLogin.expires <= now))
