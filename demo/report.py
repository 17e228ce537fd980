"""The summary at the end: what was measured, what was checked, and the verdict."""

from rich import box
from rich.console import Console
from rich.table import Table

from demo.compare import all_differences
from demo.server import Server
from demo.sizes import mb, rate
from demo.steps import Outcome

_SHOWN = 20
_NAMES = {"properties": "database properties", "columns": "columns and their types"}


def summarise(console: Console, outcome: Outcome) -> None:
    for table in (_measures(outcome), _objects(outcome), _comparison(outcome)):
        console.print()
        console.print(table, highlight=False)
    console.print()
    _verdict(console, outcome)


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD)
    for place, column in enumerate(columns):
        table.add_column(column, justify="left" if place == 0 else "right", overflow="fold")
    return table


def _measures(outcome: Outcome) -> Table:
    table = _table(f"PostgreSQL {outcome.version}", "what", "size", "time", "rate")
    proof, plain = outcome.proof, outcome.proof.plain_bytes
    table.add_row("databases, on disk with indexes", mb(outcome.database_bytes), "", "")
    table.add_row("dump, before compression", mb(plain), "", "")
    ratio = f"{mb(proof.stored_bytes)} ({plain / proof.stored_bytes:.1f} : 1)"
    backup, restore = outcome.backup_seconds, outcome.restore_seconds
    table.add_row(
        "backup: dumped, stored, read back", ratio, f"{backup:.1f} s", rate(plain, backup)
    )
    table.add_row(
        "restore: loaded, compared, swapped in", mb(plain), f"{restore:.1f} s", rate(plain, restore)
    )
    return table


def _objects(outcome: Outcome) -> Table:
    table = _table(
        f"Stored objects of backup {outcome.backup.id}", "object", "stored", "plain", "sha256", ""
    )
    for each in outcome.proof.objects:
        shown = (mb(each.stored_bytes), mb(each.plain_bytes), each.sha256)
        table.add_row(each.name, *shown, "as recorded" if each.proven else "NOT as recorded")
    return table


def _comparison(outcome: Outcome) -> Table:
    table = _table("Source and restored copy", "kind", "source", "copy", "")
    for kind in outcome.kinds:
        same = "NOT equal" if kind.differences else "equal"
        table.add_row(
            _NAMES.get(kind.name, kind.name), f"{kind.source:,}", f"{kind.restored:,}", same
        )
    return table


def _verdict(console: Console, outcome: Outcome) -> None:
    proof = outcome.proof
    files = sum(each.proven for each in proof.objects)
    console.print(
        f"{proof.checks_passed} of {proof.checks} checks of the backup passed; "
        f"{files} of {len(proof.objects)} stored files have the recorded sha256.",
        highlight=False,
    )
    found = all_differences(outcome.kinds)
    for each in found[:_SHOWN]:
        console.print(f"  differs: {each}", highlight=False, markup=False)
    if len(found) > _SHOWN:
        console.print(f"  and {len(found) - _SHOWN} more", highlight=False)
    if outcome.holds:
        console.print("[bold green]EQUAL[/]: the restored copy is what was backed up.")
    elif found:
        console.print(f"[bold red]NOT EQUAL[/]: {len(found)} differences.", highlight=False)
    else:
        console.print("[bold red]NOT PROVEN[/]: the stored files are not what was recorded.")


def how_to_talk(console: Console, server: Server, outcome: Outcome) -> None:
    """For --keep: everything one needs to go on by hand."""
    program = "./.venv/bin/holdfast"
    lines = (
        ("dashboard", server.setup_link()),
        ("  afterwards", f"{server.url}, and with the token at any time"),
        ("API reference", f"{server.url}/v1/swagger-html"),
        ("token", f"in {server.token_file}"),
        ("log in", f"{program} login --host {server.url} --token-file {server.token_file}"),
        ("look around", f"{program} backup list --project {outcome.project} --addon shop"),
        ("the data", f"psql '{outcome.source.uri}'"),
        ("log", str(server.log)),
        ("stop", f"kill {server.pid}"),
        ("remove", f"rm -r {server.data_dir}"),
    )
    console.print("\nThe server goes on running:")
    for name, text in lines:
        console.print(f"  {name:13} {text}", highlight=False, markup=False, soft_wrap=True)
