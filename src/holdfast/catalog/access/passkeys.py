"""Rows of second factors: passkeys and recovery codes."""

import hashlib
from collections.abc import Iterable

from sqlalchemy import delete, func, select

from holdfast.catalog.database.session import ReadSession, WriteSession
from holdfast.catalog.schema import Passkey, RecoveryCode


def digest_of(credential: str) -> str:
    """What a credential is found by: its id may have 1,023 bytes."""
    return hashlib.sha256(credential.encode()).hexdigest()


def of_credential(session: ReadSession, credential: str) -> Passkey | None:
    return session.scalar(select(Passkey).where(Passkey.credential_digest == digest_of(credential)))


def of_user(session: ReadSession, user_pk: int) -> list[Passkey]:
    rows = select(Passkey).where(Passkey.user_pk == user_pk).order_by(Passkey.pk)
    return list(session.scalars(rows))


def passkey_counts(session: ReadSession, user_pks: Iterable[int]) -> dict[int, int]:
    """Numbers of passkeys by user; a user without any is missing."""
    counted = (
        select(Passkey.user_pk, func.count())
        .where(Passkey.user_pk.in_(list(user_pks)))
        .group_by(Passkey.user_pk)
    )
    return dict(session.execute(counted).all())


def forget_all(session: WriteSession, user_pk: int) -> None:
    """Deletes a user's passkeys, one by one so that each is in the audit log."""
    for passkey in of_user(session, user_pk):
        session.delete(passkey)


def forget_codes(session: WriteSession, user_pk: int) -> None:
    session.execute(delete(RecoveryCode).where(RecoveryCode.user_pk == user_pk))


def unused_codes(session: ReadSession, user_pk: int) -> int:
    """How many recovery codes the user has."""
    rows = select(func.count()).select_from(RecoveryCode)
    unused = rows.where(RecoveryCode.user_pk == user_pk, RecoveryCode.used.is_(None))
    return session.scalar(unused) or 0


def recovery_code(session: ReadSession, user_pk: int, digest: str) -> RecoveryCode | None:
    """The unused code of the user; None for any other."""
    rows = select(RecoveryCode).where(RecoveryCode.digest == digest)
    mine = rows.where(RecoveryCode.user_pk == user_pk, RecoveryCode.used.is_(None))
    return session.scalar(mine)
