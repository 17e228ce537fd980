"""Proves that the master key is the one that the catalogue's secrets are sealed with.

A machine that is started without the key, or with another one, would seal secrets that the others
cannot open: passwords of snapshot repositories are random and cannot be entered again.
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
_SAMPLES = 5  # of each kind: a single damaged secret must not lock the installation out


def settle(
    session: WriteSession, find: Callable[[], bytes | None], make: Callable[[], bytes]
) -> bytes:
    """The key of this installation, proven to be the one that sealed the catalogue's secrets.

    `find` returns this machine's key, or None. `make` makes a new one and is called only while
    nothing is sealed. Raises MasterKeyMissing or MasterKeyWrong.
    """
    if session.get_bind().dialect.name == "postgresql":
        # Two machines that start at once must not both make a key.
        session.execute(text("SELECT pg_advisory_xact_lock(7342, 0)"))
    proof, key = session.get(MasterKey, _PK), find()
    if key is None and (proof is not None or any(_sealed(session))):
        raise MasterKeyMissing(f"{_default_message(MasterKeyMissing)} {_REMEDY}")
    if key is None:
        key = make()
    sealer = Sealer(key)
    if proof is not None:
        if not _opens(sealer, proof.proof, _CONTEXT):
            raise MasterKeyWrong(f"{_default_message(MasterKeyWrong)} {_REMEDY}")
        return key
    # A catalogue of an older version has no proof: the key must open any of some secrets.
    samples = list(_sealed(session))
    if samples and not any(_opens(sealer, sealed, context) for sealed, context in samples):
        raise MasterKeyWrong(f"{_default_message(MasterKeyWrong)} {_REMEDY}")
    session.add(MasterKey(pk=_PK, proof=sealer.seal(Secret(_CONTEXT), _CONTEXT)))
    return key


def _default_message(kind: type[Failure]) -> str:
    return kind().message


def _opens(sealer: Sealer, sealed: str, context: str) -> bool:
    try:
        sealer.open(sealed, context)
    except SealBroken:
        return False
    return True


def _sealed(session: ReadSession) -> Iterator[tuple[str, str]]:
    """Samples of sealed values of each kind, with their contexts."""
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
