"""Rows of snapshot repositories: one for each addon at each destination."""

from collections.abc import Mapping, Sequence

from sqlalchemy import BigInteger, bindparam, or_, select, update

from holdfast.catalog.database.session import ReadSession, WriteSession, lock_addon
from holdfast.catalog.schema import Addon, Recovery, Repository
from holdfast.domain.snapshot import CIRCLE, Stretch, marks_after
from holdfast.kit.seal import Sealer, Secret


def context(prefix: str) -> str:
    """The sealing context of a repository's password."""
    return f"repository {prefix}"


def prefix_of(project_id: str, addon: Addon) -> str:
    """The prefix of an addon's repository. The uid separates addons that had the same id."""
    return f"snapshots/{project_id}/{addon.id}/{addon.uid}/"


def get(session: ReadSession, pk: int) -> Repository:
    return session.get_one(Repository, pk)


_NOW = bindparam("now", type_=BigInteger)
_LONGEST_PAUSE_MS = 3_600_000
"""No prune is put off for longer."""
TO_PRUNE = select(Repository).where(Repository.tidy_due <= _NOW)


def to_prune(session: ReadSession, now: int) -> Sequence[Repository]:
    return session.scalars(TO_PRUNE, {"now": now}).all()


def draw_near(session: WriteSession, now: int) -> None:
    """Corrects prunes that a clock that was ahead put off for too long."""
    latest = now + _LONGEST_PAUSE_MS
    ahead = update(Repository).where(Repository.tidy_due > latest).values(tidy_due=latest)
    session.execute(ahead.execution_options(synchronize_session=False))


def find(session: ReadSession, addon_pk: int, destination_pk: int | None) -> Repository | None:
    statement = select(Repository).where(
        Repository.addon_pk == addon_pk,
        Repository.destination_pk.is_not_distinct_from(destination_pk),
    )
    return session.scalar(statement)


def ensure(session: WriteSession, row: Repository) -> Repository:
    """The existing row of the addon at the destination; else adds `row`."""
    lock_addon(session, row.addon_pk)
    existing = find(session, row.addon_pk, row.destination_pk)
    if existing is None:
        session.add(row)
        session.flush()
    return existing or row


def key_context(row: Repository) -> str:
    """The sealing context of a repository's own master key."""
    return f"repository key {row.prefix} at {row.destination_pk}"


def password(row: Repository, sealer: Sealer) -> Secret:
    return sealer.open(row.sealed_password, context(row.prefix))


def was_read(session: WriteSession, pk: int, stretch: Stretch, now: int) -> None:
    """Records that the packs of a stretch were read."""
    row = get(session, pk)
    row.read_upto, row.read_at = stretch.end, now
    row.read_marks = marks_after(row.read_marks or [], stretch.length, now)


def read_in_whole(row: Repository) -> int | None:
    """The instant since which every pack was read, or written and read back; None: never."""
    marks = row.read_marks or []
    return marks[0][1] if sum(length for length, _ in marks) >= CIRCLE else None


def note_spoiled(session: WriteSession, pk: int, spoiled: Mapping[str, str]) -> None:
    """Records the packs that are known not to be what was written, with their problems."""
    get(session, pk).spoiled = dict(spoiled) or None


RECOVERY = "recovery"


def recovery(session: ReadSession, destination_pk: int | None, sealer: Sealer) -> Secret | None:
    """The owner's passphrase for this destination, if there is one."""
    statement = select(Recovery).where(Recovery.destination_pk.is_not_distinct_from(destination_pk))
    row = session.scalar(statement.order_by(Recovery.pk.desc()).limit(1))
    return None if row is None else sealer.open(row.sealed_passphrase, RECOVERY)


def keep_recovery(
    session: WriteSession, destination_pk: int | None, passphrase: Secret, sealer: Sealer, now: int
) -> None:
    """Stores an owner's passphrase; the newest one counts."""
    session.add(
        Recovery(
            destination_pk=destination_pk,
            sealed_passphrase=sealer.seal(passphrase, RECOVERY),
            created=now,
        )
    )


def at_destination(session: ReadSession, destination_pk: int | None) -> Sequence[Repository]:
    statement = select(Repository).where(
        Repository.destination_pk.is_not_distinct_from(destination_pk)
    )
    return session.scalars(statement.order_by(Repository.pk)).all()


_PRUNE_AFTER_MS = 3_600_000
"""Delay of a prune, so that one prune removes the blocks of several expired snapshots."""


def prune_later(session: WriteSession, addon_pk: int, destination_pk: int | None, now: int) -> None:
    """Prune the repository soon: a snapshot in it is gone."""
    mine = update(Repository).where(
        Repository.addon_pk == addon_pk,
        Repository.destination_pk.is_not_distinct_from(destination_pk),
        Repository.tidy_due.is_(None),
    )
    session.execute(mine.values(tidy_due=now + _PRUNE_AFTER_MS))


def prune_now(session: WriteSession, repository_pk: int, now: int) -> None:
    """Prune the repository now, because something in it is damaged."""
    mine = update(Repository).where(
        Repository.pk == repository_pk,
        or_(Repository.tidy_due.is_(None), Repository.tidy_due > now + _PRUNE_AFTER_MS),
    )
    session.execute(mine.values(tidy_due=now))
