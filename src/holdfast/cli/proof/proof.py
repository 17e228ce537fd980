"""`holdfast proof`: makes signed reports, fetches them, and verifies them offline."""

import base64
from itertools import islice
from pathlib import Path
from typing import Annotated

import typer

from holdfast.cli.proof import verification
from holdfast.cli.session.options import Limit
from holdfast.cli.session.session import Files, Session
from holdfast.cli.session.verbs import noun, verb
from holdfast.cli.terminal.output import note
from holdfast.cli.terminal.problems import OperationFailed, naming
from holdfast.client import Client
from holdfast.client.proof.reports import Report
from holdfast.client.transport.errors import Answer, ServerFault
from holdfast.kit import durable
from holdfast.kit.sign import PublicKey

app = noun("Signed reports that prove what was backed up, restored and deleted.")

_COLUMNS = {
    "NUMBER": "number",
    "ABOUT": "about",
    "FROM": "startTime",
    "TO": "endTime",
    "MADE": "madeAt",
    "BY": "madeBy",
    "SHA256": "sha256",
}
_CHECKED_COLUMNS = {
    "NUMBER": "number",
    "ABOUT": "about",
    "FROM": "from",
    "TO": "to",
    "MADE": "madeAt",
    "VERDICT": "verdict",
}

_OPTIONS = {"from": "--from", "to": "--to", "projectId": "--project"}

_Directory = Annotated[
    Path, typer.Option("--output", "-O", help="Directory for the files; made if it is not there.")
]


@verb(
    app,
    "export",
    "holdfast proof export --from 2026-10-01 --to 2026-11-01",
    "holdfast proof export --from 2026-10-01 --to 2026-11-01 --project shop --output proof",
)
def export(
    session: Session,
    since: Annotated[
        str, typer.Option("--from", help="Begin: a day (UTC) or an RFC 3339 instant.")
    ],
    until: Annotated[
        str | None, typer.Option("--to", help="End, itself not included; default: now.")
    ] = None,
    project: Annotated[
        str | None, typer.Option("--project", "-p", help="Only this project; default: all.")
    ] = None,
    output: _Directory = Path(),
) -> None:
    """Make a signed report of a period, and write its JSON, HTML and signature."""
    body = {"from": since, "to": until, "projectId": project}
    with session.client() as client, naming(**_OPTIONS):
        report = client.proof.make({name: text for name, text in body.items() if text is not None})
        _fetch(client, report, output, session)


@verb(app, "download", "holdfast proof download 7 --output proof")
def download(
    session: Session,
    number: Annotated[int, typer.Argument(min=1, help="Of the report.")],
    output: _Directory = Path(),
) -> None:
    """Write the files of a report that was made before."""
    with session.client() as client:
        _fetch(client, client.proof.get(number), output, session)


def _fetch(client: Client, report: Report, directory: Path, session: Session) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    digests = {"json": report.sha256, "html": report.html_sha256, "sig": None}
    files: dict[str, str] = {}
    for kind, sha256 in digests.items():
        path = directory / f"report-{report.number}.{kind}"
        part = path.with_name(path.name + ".part")
        try:
            with client.proof.open(report.number, kind) as file, part.open("wb") as target:
                for chunk in file.chunks():
                    target.write(chunk)
            if sha256 not in (None, file.sha256):
                problem = f"{path.name} came with another sha256 than the report names"
                raise ServerFault(Answer(200, problem))
            if kind == "sig" and part.read_bytes() != base64.b64decode(report.signature):
                raise ServerFault(Answer(200, "another signature came than the report names"))
            if not path.exists():
                durable.sync(part)
                durable.move(part, path)
            elif path.read_bytes() != part.read_bytes():  # it may be another installation's
                raise typer.BadParameter(
                    f"{path} is there with other content: give another --output"
                    f" (the report is made: holdfast proof download {report.number})"
                )
        finally:
            part.unlink(missing_ok=True)
        files[kind] = str(path)
    session.printer.record({**report.document(), "files": files})


@verb(app, "list", "holdfast proof list --limit 12")
def show(session: Session, limit: Limit = None) -> None:
    """List the reports that were made, the newest first."""
    with session.client() as client:
        reports = list(islice(client.proof.list(), limit))
    session.printer.rows(
        reports, _COLUMNS, lambda report: {"about": report.project_id or "all projects"}
    )


@verb(app, "key", "holdfast proof key", "holdfast proof key --output key.pem")
def key(
    session: Session,
    output: Annotated[Path | None, typer.Option("--output", "-O", help="File for the PEM.")] = None,
) -> None:
    """Show the public key that verifies reports, and its fingerprint; it is no secret."""
    with session.client() as client:
        pem = client.proof.key()
    fingerprint = PublicKey.from_pem(pem).fingerprint
    document = {"url": f"{client.host}/v1/proof/key", "sha256": fingerprint, "pem": pem}
    if output is not None:
        durable.write(output, pem, mode=0o644)
        document["file"] = str(output)
    session.printer.record(document)


@verb(
    app,
    "verify",
    "holdfast proof verify proof --key key.pem",
    "holdfast proof verify october november december --key key.pem -o json",
)
def verify(
    files: Files,
    directories: Annotated[list[Path], typer.Argument(help="Directories with reports.")],
    key_file: Annotated[
        Path,
        typer.Option("--key", help="The public key, from `holdfast proof key` or /v1/proof/key."),
    ],
) -> None:
    """Verify reports offline: signatures, HTML digests, and that none is missing or changed."""
    verdict = verification.verify(directories, verification.read_key(key_file))
    files.printer.rows(verdict.reports, _CHECKED_COLUMNS)
    for sentence in verdict.notes:
        note(f"note: {sentence}")
    if verdict.problems:
        raise OperationFailed("\n".join(["the proof does not hold:", *verdict.problems]))
    note(f"verified: {len(verdict.reports)} reports, key sha256 {verdict.fingerprint}")
