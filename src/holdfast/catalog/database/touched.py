"""Which addons a transaction changed something about, for what is derived of them at its end."""

from dataclasses import dataclass, field

from holdfast.catalog.database.session import WriteSession

_TOUCHED = "touched"


@dataclass(frozen=True)
class Touched:
    """Keys of addons, copies and archives, ids of operations: all name addons.

    Of `plans` only schedules and their occurrences changed, no backup: that is every addon whose
    schedule fires, and asks for a fraction of the work.
    """

    addons: set[int] = field(default_factory=set[int])
    plans: set[int] = field(default_factory=set[int])
    copies: set[int] = field(default_factory=set[int])
    archives: set[int] = field(default_factory=set[int])
    operations: set[str] = field(default_factory=set[str])


def _touched(session: WriteSession) -> Touched:
    return session.info.setdefault(_TOUCHED, Touched())


def touch_addon(session: WriteSession, *addon_pks: int) -> None:
    _touched(session).addons.update(addon_pks)


def touch_plan(session: WriteSession, *addon_pks: int) -> None:
    """Addons of which a schedule changed or fired."""
    _touched(session).plans.update(addon_pks)


def touch_copy(session: WriteSession, copy_pk: int) -> None:
    """The addon of a copy of which only the key is known."""
    _touched(session).copies.add(copy_pk)


def touch_archive(session: WriteSession, archive_pk: int) -> None:
    """The addon of an archive of which other instants can be recovered now."""
    _touched(session).archives.add(archive_pk)


def touch_operation(session: WriteSession, operation_id: str) -> None:
    """The addon of an operation, and the one whose backup it restores."""
    _touched(session).operations.add(operation_id)


def take_touched(session: WriteSession) -> Touched:
    """What was touched since the last call."""
    return session.info.pop(_TOUCHED, None) or Touched()
