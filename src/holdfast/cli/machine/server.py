"""`holdfast serve|api|worker|scheduler`: runs the processes of an installation."""

from pathlib import Path
from typing import Annotated

import typer

from holdfast.cli.machine.local import local

DataDir = Annotated[
    Path | None, typer.Option("--data-dir", help="Where all state lives.", show_default=False)
]
Host = Annotated[str | None, typer.Option("--host", help="Address to listen on.")]
Port = Annotated[int | None, typer.Option("--port", help="Port to listen on; 0 picks a free one.")]
Database = Annotated[
    str | None,
    typer.Option("--database-url", help="Catalogue, e.g. postgresql://...; default SQLite."),
]

Certificate = Annotated[
    str | None,
    typer.Option("--tls-certificate", metavar="FILE", help="Certificate chain; listen over TLS."),
]
Roots = Annotated[
    str | None,
    typer.Option(
        "--sqlite-roots",
        metavar="DIR[:DIR]",
        help="Directories whose SQLite files may be attached; default none.",
    ),
]


def register(app: typer.Typer) -> None:
    app.command("serve")(serve)
    app.command("api")(api)
    app.command("worker")(worker)
    app.command("scheduler")(scheduler)


def serve(
    data_dir: DataDir = None,
    host: Host = None,
    port: Port = None,
    database_url: Database = None,
    sqlite_roots: Roots = None,
    tls_certificate: Certificate = None,
    tls_key: Annotated[
        str | None, typer.Option("--tls-key", metavar="FILE", help="The certificate's key.")
    ] = None,
) -> None:
    """Run everything in one process.

    Example: holdfast serve --data-dir /var/lib/holdfast --port 8585
    """
    local("serve")(
        data_dir=data_dir,
        host=host,
        port=port,
        database_url=database_url,
        sqlite_roots=sqlite_roots,
        tls_certificate=tls_certificate,
        tls_key=tls_key,
    )


def api(
    data_dir: DataDir = None,
    host: Host = None,
    port: Port = None,
    database_url: Database = None,
    tls_certificate: Certificate = None,
    tls_key: Annotated[
        str | None, typer.Option("--tls-key", metavar="FILE", help="The certificate's key.")
    ] = None,
) -> None:
    """Run only the HTTP API.

    Example: holdfast api --database-url postgresql://holdfast@db/holdfast --data-dir /srv/hf
    """
    local("api")(
        data_dir=data_dir,
        host=host,
        port=port,
        database_url=database_url,
        tls_certificate=tls_certificate,
        tls_key=tls_key,
    )


def worker(data_dir: DataDir = None, database_url: Database = None) -> None:
    """Run only the worker: backups, restores and managed servers.

    Example: holdfast worker --database-url postgresql://holdfast@db/holdfast --data-dir /srv/hf
    """
    local("worker")(data_dir=data_dir, database_url=database_url)


def scheduler(data_dir: DataDir = None, database_url: Database = None) -> None:
    """Run only the scheduler and the janitor.

    Example: holdfast scheduler --database-url postgresql://holdfast@db/holdfast --data-dir /srv/hf
    """
    local("scheduler")(data_dir=data_dir, database_url=database_url)
