"""Opens the repository of an addon at a place; makes it when there is none yet."""

from collections.abc import Callable
from dataclasses import dataclass

from holdfast.catalog.database.session import Catalog
from holdfast.catalog.schema import Addon, Copy
from holdfast.catalog.schema import Repository as Row
from holdfast.catalog.storage import repositories
from holdfast.contracts.store import ObjectStore
from holdfast.domain.errors import ObjectMissing
from holdfast.domain.snapshot import CIRCLE
from holdfast.kit import ids
from holdfast.kit.seal import Sealer, Secret
from holdfast.repositories.restic.repository import (
    KeyBackup,
    Repository,
    add_key,
    ensure_repository,
    open_repository,
    restore_keys,
)

RECOVERY = "recovery"
"""Who an owner's own key belongs to, in the key file."""


@dataclass(frozen=True)
class SnapshotRepositories:
    """`open_store` takes a destination's pk, None for the platform's."""

    catalog: Catalog
    sealer: Sealer
    open_store: Callable[[int | None], ObjectStore]

    def ensure(
        self, project_id: str, addon: Addon, destination_pk: int | None, now: int
    ) -> Repository:
        """Only for who holds the addon's slot: two at once would make two keys."""
        prefix, secret = repositories.prefix_of(project_id, addon), Secret(ids.password())
        with self.catalog.write() as session:
            row = repositories.ensure(
                session,
                Row(
                    addon_pk=addon.pk,
                    destination_pk=destination_pk,
                    prefix=prefix,
                    sealed_password=self.sealer.seal(secret, repositories.context(prefix)),
                    created=now,
                    read_marks=[[CIRCLE, now]],  # nothing is there, and what comes is read back
                ),
            )
        store, password = self.open_store(destination_pk), repositories.password(row, self.sealer)
        instant = now * 1_000_000
        made = ensure_repository(store, row.prefix, password, instant, self._kept(row))
        self._restore(row, made, now)
        return made

    def restored(self, row: Row, now: int) -> tuple[Repository, list[str]]:
        """Opened, after its config and keys were made right; what was done about them. Only for
        who holds the addon's slot."""
        repository = self.of_row(row)
        return repository, self._restore(row, repository, now)

    def _restore(self, row: Row, repository: Repository, now: int) -> list[str]:
        """Also gives it the owner's key, when there is one that it does not have."""
        password = repositories.password(row, self.sealer)
        done = restore_keys(repository, password, now * 1_000_000)
        self._remember(row, repository)
        with self.catalog.read() as session:
            recovery = repositories.recovery(session, row.destination_pk, self.sealer)
        if recovery is not None and not repository.has_key_of(RECOVERY):
            add_key(repository, recovery, RECOVERY, now * 1_000_000)
        return done

    def _kept(self, row: Row) -> KeyBackup | None:
        if row.sealed_key is None:
            return None
        sealed = self.sealer.open(row.sealed_key, repositories.key_context(row))
        return KeyBackup.parse(sealed.reveal())

    def _remember(self, row: Row, repository: Repository) -> None:
        """The master key and config, while they can still be read."""
        if row.sealed_key is not None:
            return
        kept = Secret(KeyBackup(repository.key, repository.config).dumps())
        sealed = self.sealer.seal(kept, repositories.key_context(row))
        with self.catalog.write() as session:
            repositories.get(session, row.pk).sealed_key = sealed

    def is_made(self, row: Row) -> bool:
        """Is there more of it than the row?"""
        return any(True for _ in self.open_store(row.destination_pk).list(f"{row.prefix}config"))

    def of_row(self, row: Row) -> Repository:
        password = repositories.password(row, self.sealer)
        store = self.open_store(row.destination_pk)
        repository = open_repository(store, row.prefix, password, self._kept(row))
        self._remember(row, repository)
        return repository

    def of_copy(self, copy: Copy) -> Repository:
        """The repository that holds a snapshot's copy."""
        with self.catalog.read() as session:
            row = repositories.find(session, copy.addon_pk, copy.destination_pk)
        if row is None:
            raise ObjectMissing("the repository of this snapshot is not known here")
        return self.of_row(row)


def snapshot_id(copy: Copy) -> str:
    return str(copy.objects).rpartition("/")[2]
