"""Opens the repository of an addon at a destination, and creates it if there is none."""

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
"""User name of the owner's recovery key, in the key file."""


@dataclass(frozen=True)
class SnapshotRepositories:
    """`open_store` takes a destination's pk, None for the platform store."""

    catalog: Catalog
    sealer: Sealer
    open_store: Callable[[int | None], ObjectStore]

    def ensure(
        self, project_id: str, addon: Addon, destination_pk: int | None, now: int
    ) -> Repository:
        """Opens or creates it. Only while holding the addon's slot: two at once would make two
        keys."""
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
                    read_marks=[[CIRCLE, now]],  # it is empty, and what is written is read back
                ),
            )
        store, password = self.open_store(destination_pk), repositories.password(row, self.sealer)
        instant = now * 1_000_000
        repository = ensure_repository(store, row.prefix, password, instant, self._kept(row))
        self._restore(row, repository, now)
        return repository

    def restored(self, row: Row, now: int) -> tuple[Repository, list[str]]:
        """Opens it and repairs its config and keys; also returns sentences about the repairs. Only
        while holding the addon's slot."""
        repository = self.of_row(row)
        return repository, self._restore(row, repository, now)

    def _restore(self, row: Row, repository: Repository, now: int) -> list[str]:
        """Repairs config and keys, and adds the owner's recovery key if it is missing."""
        password = repositories.password(row, self.sealer)
        sentences = restore_keys(repository, password, now * 1_000_000)
        self._remember(row, repository)
        with self.catalog.read() as session:
            recovery = repositories.recovery(session, row.destination_pk, self.sealer)
        if recovery is not None and not repository.has_key_of(RECOVERY):
            add_key(repository, recovery, RECOVERY, now * 1_000_000)
        return sentences

    def _kept(self, row: Row) -> KeyBackup | None:
        if row.sealed_key is None:
            return None
        sealed = self.sealer.open(row.sealed_key, repositories.key_context(row))
        return KeyBackup.parse(sealed.reveal())

    def _remember(self, row: Row, repository: Repository) -> None:
        """Stores the master key and config sealed, while they can still be read."""
        if row.sealed_key is not None:
            return
        secret = Secret(KeyBackup(repository.key, repository.config).dumps())
        sealed = self.sealer.seal(secret, repositories.key_context(row))
        with self.catalog.write() as session:
            repositories.get(session, row.pk).sealed_key = sealed

    def is_made(self, row: Row) -> bool:
        """Whether the store has the repository, not only the catalogue a row."""
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
    """The name of a copy's snapshot object in its repository."""
    return str(copy.objects).rpartition("/")[2]
