"""What is done with the server over its API: addons, a backup, a restore. Nothing is printed."""

from collections.abc import Callable
from dataclasses import dataclass

from demo.fill import Address
from holdfast.client import Client, Patience
from holdfast.client.models.models import Backup, Progress, Restore
from holdfast.client.restores import Origin
from holdfast.kit.clock import parse_rfc3339

_BILLING = {"deploymentPlan": "nf-compute-20", "storage": 4096, "replicas": 1}
_PATIENCE = Patience(first=0.1, longest=0.25)
Watch = Callable[[int, int | None], None]


class OutcomeBad(Exception):
    """An operation ended otherwise than completed; the message is the server's reason."""


@dataclass(frozen=True)
class Place:
    """An addon by its path in the API."""

    project: str
    addon: str


def create_project(client: Client, name: str) -> str:
    return client.projects.create({"name": name}).id


def create_addon(client: Client, project: str, name: str) -> Place:
    """A managed PostgreSQL, running."""
    body = {"name": name, "type": "postgresql", "version": "latest", "billing": _BILLING}
    made = client.addons.create(project, body)
    addon = client.wait_for_addon(project, made.id, patience=_PATIENCE)
    if addon.status != "running":
        raise OutcomeBad(f"addon {name} is {addon.status}: {addon.reason}")
    return Place(project, made.id)


def address(client: Client, place: Place) -> Address:
    found = client.addons.credentials(place.project, place.addon)
    return Address(found.secrets["POSTGRES_URI_ADMIN"].reveal())


def version(client: Client, place: Place) -> str:
    return client.addons.version(place.project, place.addon).version


def back_up(client: Client, place: Place, compression: str, watch: Watch) -> Backup:
    body = {"backupType": "dump", "compressionType": compression}
    made = client.backups.create(place.project, place.addon, body)
    ended = client.wait_for_backup(
        place.project, place.addon, made.id, _PATIENCE, lambda seen: _tell(watch, seen.progress)
    )
    if ended.status != "completed":
        raise OutcomeBad(f"backup {made.id} is {ended.status}: {ended.reason}")
    return ended


def restore(client: Client, source: Place, backup: Backup, target: Place, watch: Watch) -> Restore:
    """Into another addon than the one the backup is of."""
    origin = Origin(source.project, source.addon)
    started = client.restores.create(target.project, target.addon, backup.id, origin)
    ended = client.wait_for_restore(
        target.project,
        target.addon,
        started.restore_id,
        _PATIENCE,
        lambda seen: _tell(watch, seen.progress),
    )
    if ended.status != "completed":
        raise OutcomeBad(f"restore {ended.id} is {ended.status}: {ended.reason}")
    return ended


def _tell(watch: Watch, progress: Progress | None) -> None:
    if progress is not None:
        watch(progress.bytes, progress.expected)


def seconds(ended: Backup | Restore) -> float:
    """As the server's own record has it: asked for, to ended."""
    began = ended.created_at if isinstance(ended, Backup) else ended.restore_timestamp
    return (parse_rfc3339(ended.completed_at or "") - parse_rfc3339(began or "")) / 1000
