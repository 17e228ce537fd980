"""Waits for a backup and shows it; the exit status tells whether it is good."""

from holdfast.cli.session.options import Waiting
from holdfast.cli.session.session import Session
from holdfast.cli.terminal.output import note
from holdfast.cli.terminal.problems import OperationFailed
from holdfast.cli.terminal.progress import watching
from holdfast.client import Client
from holdfast.client.models.models import GOOD, Backup


def awaited(client: Client, project: str, addon: str, backup: str, waiting: Waiting) -> Backup:
    with watching(f"backup {backup}") as listener:
        return client.wait_for_backup(project, addon, backup, waiting.patience(), listener)


def conclude(session: Session, backup: Backup, *, waited: bool) -> None:
    session.printer.record(backup)
    if backup.warnings:
        note(
            f"{backup.warnings} warnings: not everything will restore elsewhere as it is; see"
            f" `holdfast backup evidence {backup.id}`"
        )
    if waited and backup.status != GOOD:
        reason = f": {backup.reason}" if backup.reason else ""
        raise OperationFailed(f"the backup {backup.id} ended {backup.status}{reason}")
