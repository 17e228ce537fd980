"""`holdfast destination`: the stores for backups."""

from dataclasses import dataclass
from itertools import islice
from typing import Annotated, cast

import typer

from holdfast.cli import recovery
from holdfast.cli.session.options import EvenLast, Force, Limit, Yes
from holdfast.cli.session.session import Session
from holdfast.cli.session.verbs import noun, verb
from holdfast.cli.terminal import prompts
from holdfast.cli.terminal.output import note
from holdfast.cli.terminal.problems import naming
from holdfast.client.models.models import AdoptedArchive, AdoptionProblem, DestinationBackup
from holdfast.kit.clock import rfc3339

app = noun("Backup destinations: S3-compatible stores of your own.")

Id = Annotated[str, typer.Argument(metavar="DESTINATION", help="Destination id or name.")]
OptionalId = Annotated[
    str | None, typer.Argument(metavar="[DESTINATION]", help="Destination id or name.")
]
Platform = Annotated[bool, typer.Option("--platform", help="The platform's own store instead.")]
ShowSecrets = Annotated[bool, typer.Option("--show-secrets", help="Do not mask the keys.")]


@dataclass(frozen=True)
class Keys:
    """The credentials of a store. The secret key is never an argument."""

    bucket: Annotated[str | None, typer.Option("--bucket")] = None
    endpoint: Annotated[str | None, typer.Option("--endpoint", help="Host or URL.")] = None
    region: Annotated[str | None, typer.Option("--region")] = None
    access_key: Annotated[str | None, typer.Option("--access-key")] = None
    secret_key_file: Annotated[
        str | None,
        typer.Option(
            "--secret-key-file",
            help="Read the secret key from FILE (`-`: standard input); else it is asked for.",
        ),
    ] = None

    def over(self, body: dict[str, object]) -> dict[str, object]:
        """Returns the body with these credentials over its own; without any, unchanged."""
        options = {
            "bucketName": self.bucket,
            "endpoint": self.endpoint,
            "region": self.region,
            "accessKey": self.access_key,
        }
        credentials = cast("dict[str, object]", body.get("credentials") or {})
        merged = {
            **credentials,
            **{name: value for name, value in options.items() if value is not None},
        }
        if self.secret_key_file is not None or (merged and "secretKey" not in merged):
            key = prompts.secret(self.secret_key_file, "Secret key", "--secret-key-file")
            merged["secretKey"] = key.reveal()
        return {**body, "credentials": merged} if merged else body


@dataclass(frozen=True)
class Service:
    """Settings of the service; the server finds out those that are left out."""

    max_parts: Annotated[
        int | None, typer.Option("--max-parts", help="Parts that it allows per object.")
    ] = None
    equal_parts: Annotated[
        bool | None,
        typer.Option("--equal-parts/--unequal-parts", help="Parts have to be of one size."),
    ] = None
    checksum: Annotated[
        str | None, typer.Option("--checksum", help="Of each part: none, md5, crc32 or sha256.")
    ] = None
    addressing: Annotated[
        str | None, typer.Option("--addressing", help="Of the bucket: auto, path or virtual.")
    ] = None

    def over(self, body: dict[str, object]) -> dict[str, object]:
        """Returns the body with these settings over its own."""
        options = {
            "maxParts": self.max_parts,
            "equalParts": self.equal_parts,
            "checksum": self.checksum,
            "addressing": self.addressing,
        }
        return {**body, **{name: value for name, value in options.items() if value is not None}}


@dataclass(frozen=True)
class Fields:
    description: Annotated[str | None, typer.Option("--description")] = None
    grant: Annotated[
        list[str] | None,
        typer.Option(
            "--grant",
            help="A project that may use it beside its owner; may be repeated. Without: all"
            " projects where the installation owns it, no other where a project does.",
        ),
    ] = None
    file: prompts.BodyFile = None

    def body(self, **options: object) -> dict[str, object]:
        fields = {**options, "description": self.description, "projects": self.grant or None}
        return prompts.body(self.file, fields)


@verb(app, "list", "holdfast destination list")
def show(session: Session, limit: Limit = None) -> None:
    """List the backup destinations."""
    with session.client() as client:
        destinations = list(islice(client.destinations.list(), limit))
    columns = {"ID": "id", "NAME": "name", "TYPE": "type", "BUCKET": "credentials.bucketName"}
    session.printer.rows(destinations, {**columns, "PREFIX": "prefix"})


@verb(
    app,
    "create",
    "holdfast destination create 'Off site' --prefix shop/ --bucket backups"
    " --endpoint s3.eu-west-1.amazonaws.com --region eu-west-1 --access-key AKIA"
    " --secret-key-file key.txt",
)
def create(
    session: Session,
    keys: Keys,
    service: Service,
    fields: Fields,
    name: Annotated[str | None, typer.Argument(help="Name, unless --file has it.")] = None,
    prefix: Annotated[
        str | None, typer.Option("--prefix", help="Such as `shop/`; default: none.")
    ] = None,
    owner: Annotated[
        str | None,
        typer.Option("--owner", help="The project that owns it; default: the installation."),
    ] = None,
) -> None:
    """Add a destination; the server tries it first and refuses one that does not work."""
    body = {"type": "s3", "prefix": "", **fields.body(name=name, prefix=prefix, projectId=owner)}
    with session.client() as client:
        destination = client.destinations.create(service.over(keys.over(body)))
    session.printer.record(destination)


@verb(app, "get", "holdfast destination get off-site")
def get(session: Session, destination: Id, show_secrets: ShowSecrets = False) -> None:
    """Show a destination."""
    with session.client() as client:
        shown = client.destinations.get(destination)
    session.printer.record(shown.document(reveal=show_secrets))


@verb(app, "update", "holdfast destination update off-site --name 'Far off site'")
def update(
    session: Session,
    keys: Keys,
    service: Service,
    fields: Fields,
    destination: Id,
    name: Annotated[str | None, typer.Option("--name", help="New name; the id stays.")] = None,
) -> None:
    """Change a destination. Credentials are replaced as a whole.

    Another bucket is another destination, unless the backups of this one are found there.
    """
    body = fields.body(name=name)
    with session.client() as client:
        client.destinations.update(destination, service.over(keys.over(body)))
    session.printer.done(f"updated destination {destination}")


@verb(app, "delete", "holdfast destination delete off-site --force")
def delete(session: Session, destination: Id, force: Force = False) -> None:
    """Delete a destination; refused while backups are stored there."""
    prompts.confirm(f"Delete the destination {destination}?", force=force)
    with session.client() as client:
        client.destinations.delete(destination)
    session.printer.done(f"deleted destination {destination}")


@verb(
    app,
    "backups",
    "holdfast destination backups off-site",
    "holdfast destination backups --platform",
)
def backups(
    session: Session,
    destination: OptionalId = None,
    platform: Platform = False,
    limit: Limit = None,
) -> None:
    """List what is stored in a destination, newest first."""
    store = _chosen_store(destination, platform)
    with session.client() as client:
        stored = list(islice(client.destinations.backups(store), limit))
    session.printer.rows(stored, _STORED, _described)


_STORED = {
    "UID": "uid",
    "ID": "id",
    "STATUS": "status",
    "PROJECT": "project.id",
    "ADDON": "addon.id",
    "SIZE": "config.size",
    "CREATED": "createdAt",
    "EXPIRES": "expires",
}


def _chosen_store(destination: str | None, platform: bool) -> str | None:
    if platform == (destination is not None):
        raise typer.BadParameter("name a destination, or give --platform")
    return destination


def _described(backup: DestinationBackup) -> dict[str, str]:
    """Words when it expires: `expiredBy` is ms since 1970, which some servers send as text."""
    try:
        return {"expires": rfc3339(int(float(str(backup.expired_by))))}
    except ValueError:
        return {"expires": "never"}


@verb(
    app,
    "delete-backup",
    "holdfast destination delete-backup 0b6e0f3c-5f5b-4d1a-9f0e-2f6f8f0c1d2e --yes",
)
def delete_backup(
    session: Session,
    uid: Annotated[str, typer.Argument(metavar="UID", help="See `destination backups`.")],
    yes: Yes = False,
    force: EvenLast = False,
) -> None:
    """Delete a backup by its uid, also when its addon or project is gone."""
    prompts.confirm(f"Delete the backup {uid}?", force=yes or force, option="--yes")
    with session.client() as client, naming(force="--force"):
        client.backups.delete_stored(uid, force=force)
    session.printer.done(f"deleted backup {uid}")


@verb(
    app,
    "probe",
    "holdfast destination probe off-site",
    "holdfast destination probe --platform",
)
def probe(session: Session, destination: OptionalId = None, platform: Platform = False) -> None:
    """Write, read back, list and delete at a destination now, and say what does not work.

    The exit code is 1 when something does not.
    """
    store = _chosen_store(destination, platform)
    with session.client() as client:
        answer = client.destinations.probe(store)
    text = f"it works, in {answer.milliseconds} ms" if answer.works else f"{answer.problem}"
    session.printer.sentence(answer.document(), text)
    if not answer.works:
        raise typer.Exit(1)


@verb(
    app,
    "recovery-kit",
    "holdfast destination recovery-kit off-site > kit.txt",
    "holdfast destination recovery-kit --platform > kit.txt",
)
def recovery_kit(
    session: Session, destination: OptionalId = None, platform: Platform = False
) -> None:
    """Make a passphrase that opens all snapshots at a destination without Holdfast.

    It replaces the one made before. Keep it where this server is not.
    """
    store = _chosen_store(destination, platform)
    with session.client() as client:
        kit = client.destinations.recovery_kit(store)
    session.printer.sentence(kit.document(reveal=True), recovery.text(kit))


@verb(
    app,
    "adopt",
    "holdfast destination adopt off-site --passphrase-file kit-passphrase.txt",
    "holdfast destination adopt --platform --dumps-only",
)
def adopt(
    session: Session,
    destination: OptionalId = None,
    platform: Platform = False,
    passphrase_file: Annotated[
        str | None,
        typer.Option(
            "--passphrase-file",
            help="Read the passphrase of the recovery kit from FILE (`-`: standard input);"
            " else it is asked for.",
        ),
    ] = None,
    dumps_only: Annotated[
        bool, typer.Option("--dumps-only", help="Without a passphrase; snapshots are left alone.")
    ] = False,
    trusted: Annotated[
        bool,
        typer.Option(
            "--trusted",
            help="Only Holdfast wrote to this store: dumps made under another master key get their"
            " roles, owners and definers back, too, when they are restored.",
        ),
    ] = False,
) -> None:
    """Adopt backups that this installation does not know, such as those of a lost one.

    Their addons count as deleted; restore or fork the backups by their uid. They stay until you
    delete them. Incomplete backups are listed, and the exit code is then 1.
    """
    store = _chosen_store(destination, platform)
    secret = (
        None if dumps_only else prompts.secret(passphrase_file, "Passphrase", "--passphrase-file")
    )
    adopted: list[DestinationBackup] = []
    problems: list[AdoptionProblem] = []
    logs: list[AdoptedArchive] = []
    with session.client() as client:
        for part in client.destinations.adopt(store, secret, trusted=trusted):
            adopted += part.backups
            problems += part.problems
            logs += part.archives
    session.printer.rows(adopted, _STORED, _described)
    for log in logs:
        until = f"from {log.start_timestamp} to {log.end_timestamp}"
        shown = until if log.has_valid_window else "not one: no snapshot leads there"
        note(
            f"the archived log of {log.project_id}/{log.addon_id} is known again; moments: {shown}"
        )
    for problem in problems:
        note(f"{problem.where}: {problem.problem}")
    if problems:
        raise typer.Exit(1)
