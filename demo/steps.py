"""The story, step by step: two addons, data, a backup, a restore, and the proof."""

from dataclasses import dataclass

from demo import lab
from demo.compare import Kind, all_differences, compare, fingerprints
from demo.fill import Address, fill
from demo.lab import Place
from demo.proof import Proof, prove
from demo.screen import Screen
from demo.server import Server
from demo.sizes import mb, rate
from holdfast.client import Client
from holdfast.client.models.models import Backup

_SABOTAGE = "UPDATE shop.review SET body = overlay(body placing 'x' from 3) WHERE id = 7"


@dataclass(frozen=True)
class Outcome:
    """All that was found out; seconds as the server recorded them. `holds` is the verdict."""

    version: str
    project: str
    source: Address
    database_bytes: int
    backup: Backup
    backup_seconds: float
    restore_seconds: float
    proof: Proof
    kinds: list[Kind]

    @property
    def equal(self) -> bool:
        return not all_differences(self.kinds)

    @property
    def holds(self) -> bool:
        return self.equal and self.proof.holds


def play(screen: Screen, server: Server, size: int, *, sabotage: bool) -> Outcome:
    with screen.step(
        "Starting holdfast serve (API, scheduler, worker and janitor; SQLite)"
    ) as step:
        server.start()
        step.result = server.url
    with server.client() as client:
        return _tell(screen, server, client, size, sabotage=sabotage)


def _tell(screen: Screen, server: Server, client: Client, size: int, *, sabotage: bool) -> Outcome:
    project, shop = _first_addon(screen, client)
    source = lab.address(client, shop)
    version = lab.version(client, shop)
    database_bytes = _fill(screen, source, size)
    backup = _back_up(screen, client, shop)
    proof = _prove(screen, server, client, shop, backup)
    copy, restore_seconds = _restore(screen, client, shop, backup, proof)
    target = lab.address(client, copy)
    if sabotage:
        with screen.step("Altering one row of the restored copy"), target.connect() as session:
            session.execute(_SABOTAGE)
    return Outcome(
        version=version,
        project=project,
        source=source,
        database_bytes=database_bytes,
        backup=backup,
        backup_seconds=lab.seconds(backup),
        restore_seconds=restore_seconds,
        proof=proof,
        kinds=_compare(screen, source, target),
    )


def _first_addon(screen: Screen, client: Client) -> tuple[str, Place]:
    with screen.step("Creating a project and a managed PostgreSQL addon over the API") as step:
        project = lab.create_project(client, "Demo shop")
        shop = lab.create_addon(client, project, "Shop")
        step.result = f"PostgreSQL {lab.version(client, shop)} runs"
    return project, shop


def _fill(screen: Screen, source: Address, size: int) -> int:
    with screen.step("Filling it with realistic data") as step:
        fill(source, size, step.moved)
        with source.connect() as session:
            row = session.execute(
                "SELECT sum(pg_database_size(oid))::bigint FROM pg_database WHERE datallowconn"
                " AND NOT datistemplate"
            ).fetchone()
        found = int(row[0]) if row else 0
        step.result = f"{mb(found)} on disk, {rate(found, step.seconds)}"
    return found


def _back_up(screen: Screen, client: Client, shop: Place) -> Backup:
    with screen.step("Backing it up as a dump, zstd") as step:
        backup = lab.back_up(client, shop, "zstd", step.moved)
        step.result = f"{backup.status}, {mb(int(backup.config.size))} stored"
    return backup


def _prove(screen: Screen, server: Server, client: Client, shop: Place, backup: Backup) -> Proof:
    with screen.step("Hashing the stored files again, and what they unpack to") as step:
        evidence = client.backups.evidence(shop.project, shop.addon, backup.id)
        proof = prove(server.data_dir / "store", backup, evidence)
        same = "as" if proof.holds else "NOT as"
        step.result = f"{len(proof.objects)} files, {same} the backup's evidence has them"
    return proof


def _restore(
    screen: Screen, client: Client, shop: Place, backup: Backup, proof: Proof
) -> tuple[Place, float]:
    with screen.step("Creating a second, empty addon"):
        copy = lab.create_addon(client, shop.project, "Copy of the shop")
    with screen.step("Restoring the dump into it over the API") as step:
        seconds = lab.seconds(lab.restore(client, shop, backup, copy, step.moved))
        step.result = f"{mb(proof.plain_bytes)}, {rate(proof.plain_bytes, seconds)}"
    return copy, seconds


def _compare(screen: Screen, source: Address, target: Address) -> list[Kind]:
    with screen.step("Comparing the two servers: every row, every definition, every grant") as step:
        kinds = compare(*fingerprints(source, target))
        found = len(all_differences(kinds))
        step.result = f"{found} differences"
    return kinds
