"""Proof of which master key the catalogue's secrets are sealed with.

A machine of a fleet that is started without the key, or with another one, would seal new secrets
that nobody can open: passwords of snapshot repositories are random and cannot be entered again.
"""

from collections.abc import Callable, Iterator

from sqlalchemy import select, text

from holdfast.catalog import addons, destinations, imports
from holdfast.catalog.database.session import ReadSession, WriteSession
from holdfast.catalog.schema import (
    Addon,
    Backup,
    Destination,
    Import,
    MasterKey,
    Recovery,
    Repository,
)
from holdfast.catalog.storage import repositories
from holdfast.domain.errors import Failure, MasterKeyMissing, MasterKeyWrong, SealBroken
from holdfast.kit.seal import Sealer, Secret

_PK = 1
_CONTEXT = "master key"
_REMEDY = (
    "Set HOLDFAST_MASTER_KEY to the key that was kept, or put the file master.key back into the"
    " data directory; nothing was changed."
)
_SAMPLES = 5  # of each kind: one that is damaged must not lock everybody out


def settle(
    session: WriteSession, find: Callable[[], bytes | None], make: Callable[[], bytes]
) -> bytes:
    """The key of this installation, proven to be the one that sealed the catalogue's secrets.

    `find` gives the key that this machine was given, None without one. `make` makes a new one; it
    is called only while nothing is sealed. MasterKeyMissing, MasterKeyWrong.
    """
    _take_turns(session)
    proof, key = session.get(MasterKey, _PK), find()
    if key is None and (proof is not None or any(_sealed(session))):
        raise MasterKeyMissing(f"{_said(MasterKeyMissing)} {_REMEDY}")
    if key is None:
        key = make()
    sealer = Sealer(key)
    if proof is not None:
        _require_opens(sealer, proof.proof, _CONTEXT)
        return key
    _require_opens_some(sealer, session)
    session.add(MasterKey(pk=_PK, proof=sealer.seal(Secret(_CONTEXT), _CONTEXT)))
    return key


def _said(kind: type[Failure]) -> str:
    return kind().message


def _take_turns(session: WriteSession) -> None:
    """Two machines that start at once must not both make a key."""
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text("SELECT pg_advisory_xact_lock(7342, 0)"))


def _require_opens(sealer: Sealer, sealed: str, context: str) -> None:
    try:
        sealer.open(sealed, context)
    except SealBroken as error:
        raise MasterKeyWrong(f"{_said(MasterKeyWrong)} {_REMEDY}") from error


def _require_opens_some(sealer: Sealer, session: ReadSession) -> None:
    """For a catalogue of a version that kept no proof."""
    samples = list(_sealed(session))
    for sealed, context in samples:
        try:
            sealer.open(sealed, context)
        except SealBroken:
            continue
        return
    if samples:
        raise MasterKeyWrong(f"{_said(MasterKeyWrong)} {_REMEDY}")


def _sealed(session: ReadSession) -> Iterator[tuple[str, str]]:
    """Some sealed values of each kind with their contexts."""
    for row in session.scalars(select(Repository).limit(_SAMPLES)):
        yield row.sealed_password, repositories.context(row.prefix)
    for row in session.scalars(select(Recovery).limit(_SAMPLES)):
        yield row.sealed_passphrase, repositories.RECOVERY
    for row in session.scalars(select(Destination).limit(_SAMPLES)):
        yield row.sealed_secret, destinations.context(row.id)
    for row in session.scalars(select(Addon).limit(_SAMPLES)):
        yield row.sealed_password, addons.context(row.uid)
    waiting = select(Import.sealed, Backup.uid).join(Backup, Backup.pk == Import.backup_pk)
    for sealed, uid in session.execute(waiting.where(Import.sealed.is_not(None)).limit(_SAMPLES)):
        yield str(sealed), imports.context(uid)
