"""`holdfast doctor` and `holdfast tools`: examine this machine, and install programs."""

from pathlib import Path
from typing import Annotated

import typer

from holdfast.cli.machine.local import local
from holdfast.cli.terminal.output import Format, Printer, note

DataDir = Annotated[
    Path | None, typer.Option("--data-dir", help="Where all state lives.", show_default=False)
]
Output = Annotated[Format, typer.Option("-o", "--output", help="table or json")]

tools = typer.Typer(no_args_is_help=True, help="Client tools and servers that Holdfast installs.")


def register(app: typer.Typer) -> None:
    app.command("doctor", epilog="Example: holdfast doctor --data-dir /var/lib/holdfast")(doctor)
    app.add_typer(tools, name="tools")


def doctor(data_dir: DataDir = None, output: Output = Format.TABLE) -> None:
    """Say what is missing on this machine and how to get it (exit status 1 if anything is)."""
    findings = local("diagnose")(data_dir)
    rows = [{**finding, "state": "ok" if finding["well"] else "MISSING"} for finding in findings]
    columns = {"WHAT": "name", "STATE": "state", "FOUND": "found"}
    Printer(output).rows(rows, columns)
    missing = [finding for finding in findings if not finding["well"]]
    for finding in missing:
        note(f"{finding['name']}: {finding['remedy']}")
    raise typer.Exit(1 if missing else 0)


@tools.command("list", epilog="Example: holdfast tools list")
def list_tools(data_dir: DataDir = None, output: Output = Format.TABLE) -> None:
    """Show what is installed and what can be."""
    columns = {"ADDON TYPE": "kind", "VERSION": "version", "ORIGIN": "origin", "PLACE": "place"}
    Printer(output).rows(local("list_tools")(data_dir), columns)


@tools.command("install", epilog="Example: holdfast tools install postgresql 17")
def install_tools(
    kind: Annotated[str, typer.Argument(help="Addon type, for example postgresql.")],
    version: Annotated[str, typer.Argument(help="Major version, for example 17.")],
    data_dir: DataDir = None,
) -> None:
    """Install client tools and server of a version beside the others."""
    note(f"installing {kind} {version}")
    note(f"installed {local('install_tools')(data_dir, kind, version)}")
