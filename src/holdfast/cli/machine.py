"""`holdfast doctor` and `holdfast tools`: what this machine has, lacks, and how to get it."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from holdfast import bootstrap, settings
from holdfast.bootstrap import Parts
from holdfast.cli.output import Format, Printer, note

DataDir = Annotated[
    Path | None, typer.Option("--data-dir", help="Where all state lives.", show_default=False)
]
Output = Annotated[Format, typer.Option("-o", "--output", help="table or json")]

tools = typer.Typer(no_args_is_help=True, help="Client tools and servers that Holdfast installs.")


def register(app: typer.Typer) -> None:
    app.command("doctor", epilog="Example: holdfast doctor --data-dir /var/lib/holdfast")(doctor)
    app.add_typer(tools, name="tools")


def _parts(data_dir: Path | None) -> Parts:
    return Parts(settings.load({"data_dir": data_dir}))


def doctor(data_dir: DataDir = None, output: Output = Format.TABLE) -> None:
    """Say what is missing on this machine and how to get it (exit status 1 if anything is)."""
    findings = bootstrap.diagnose(_parts(data_dir))
    rows = [{**asdict(f), "state": "ok" if f.well else "MISSING"} for f in findings]
    columns = {"WHAT": "name", "STATE": "state", "FOUND": "found"}
    Printer(output).rows(rows, columns)
    for finding in findings:
        if not finding.well:
            note(f"{finding.name}: {finding.remedy}")
    raise typer.Exit(0 if all(finding.well for finding in findings) else 1)


@tools.command("list", epilog="Example: holdfast tools list")
def list_tools(data_dir: DataDir = None, output: Output = Format.TABLE) -> None:
    """Show what is installed and what can be."""
    columns = {"ADDON TYPE": "kind", "VERSION": "version", "ORIGIN": "origin", "PLACE": "place"}
    Printer(output).rows(bootstrap.list_tools(_parts(data_dir)), columns)


@tools.command("install", epilog="Example: holdfast tools install postgresql 17")
def install_tools(
    kind: Annotated[str, typer.Argument(help="Addon type, for example postgresql.")],
    version: Annotated[str, typer.Argument(help="Major version, for example 17.")],
    data_dir: DataDir = None,
) -> None:
    """Install client tools and server of a version beside the others."""
    note(f"installing {kind} {version}")
    note(f"installed {bootstrap.install_tools(_parts(data_dir), kind, version)}")
