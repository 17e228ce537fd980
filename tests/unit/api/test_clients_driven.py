"""The compatibility document's other table: each call of the official JavaScript client and each
command of the official command line that is about us, and the tests that drive them."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
ROW = re.compile(
    r"\| (?P<what>[\w–, ]+) \| (?:`(?P<call>[^`]+)`|-) \| (?:`(?P<js>[^`]+)`|-)"
    r" \| (?:`(?P<command>[^`]+)`|-) \| (?:`(?P<cli>[^`]+)`|-) \|"
)
SPECIFIED = {
    *("list.projects", "create.project", "put.project", "get.project", "patch.project"),
    *("delete.project", "get.addon.types", "list.regions", "list.plans", "list.addons"),
    *("create.addon", "put.addon", "get.addon", "patch.addon", "delete.addon", "pause.addon"),
    *("resume.addon", "restart.addon", "reset.addon", "scale.addon", "get.addon.credentials"),
    *("get.addon.version", "update.addon.version", "get.addon.containers", "list.teams"),
    *("update.addon.networkSettings", "update.addon.security", "get.addon.backups"),
    *("backup.addon", "get.addon.backup", "delete.backup", "abort.addon.backup"),
    *("get.addon.backup.download", "retain.addon.backup", "import.addon.backup"),
    *("restore.addon.backup", "get.addon.backup.restores", "abort.addon.restore"),
    *("get.addon.restores", "get.addon.backupSchedules", "create.addon.backupSchedule"),
    *("delete.addon.backupSchedule", "list.backupDestinations", "add.backupDestination"),
    *("get.backupDestination", "patch.backupDestination", "delete.backupDestination"),
    *("list.backupDestinationsBackups", "get.addon.logs", "get.addon.logTail"),
    *("get.addon.backup.logs", "get.addon.backup.logTail", "get.addon.restores.logs"),
    *("get.addon.restores.logTail", "get.addon.metrics", "get.addon.metricsRange"),
    *("list.notifications", "create.notification", "get.notification"),
    *("update.notification", "delete.notification"),
}
"""Every call that the wire contract names, except those for backups of volumes."""
COMMANDS = {
    *("login", "context update-token", "context use project", "list projects", "create project"),
    *("put project", "get project", "patch project", "delete project", "get addon types"),
    *("list addons", "create addon", "put addon", "get addon", "patch addon", "delete addon"),
    *("pause addon", "resume addon", "restart addon", "reset addon", "scale addon"),
    *("get addon credentials", "get addon version", "update addon version"),
    *("get addon containers", "update addon network-settings", "update addon security"),
    *("get addon backups", "backup addon", "get addon backup", "delete backup"),
    *("abort addon backup", "get addon backup download", "retain addon backup"),
    *("import addon backup", "restore addon backup", "get addon backup restores"),
    *("abort addon restore", "get addon restores", "get addon pitr-window", "start addon pitr"),
    *("get addon backup-schedules", "create addon backup-schedule"),
    *("delete addon backup-schedule", "list backup-destinations", "add backup-destination"),
    *("get backup-destination", "patch backup-destination", "delete backup-destination"),
    *("list backup-destinations-backups", "get addon logs", "get addon logs -f"),
    *("get addon backup logs", "get addon backup logs -f", "get addon restores logs"),
    *("get addon restores logs -f", "get addon metrics", "list notifications"),
    *("create notification", "get notification", "update notification", "delete notification"),
}


def rows() -> list[dict[str, str | None]]:
    text = (ROOT / "docs" / "compat" / "northflank.md").read_text()
    section = text.partition("## Every call of the official clients")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("| ")][1:]
    found = [ROW.fullmatch(line) for line in lines]
    assert all(found), [line for line, match in zip(lines, found, strict=True) if not match]
    return [match.groupdict() for match in found if match]


def test_the_table_has_every_call_and_command() -> None:
    calls = [row["call"] for row in rows() if row["call"]]
    commands = [row["command"] for row in rows() if row["command"]]
    assert sorted(calls) == sorted(SPECIFIED)
    assert sorted(commands) == sorted(COMMANDS)


@pytest.mark.parametrize("row", rows(), ids=lambda row: str(row["call"] or row["command"]))
def test_the_named_tests_drive_what_they_are_named_for(row: dict[str, str | None]) -> None:
    """A call stands in the test as it is, a command as its words one after the other."""
    assert bool(row["call"]) == bool(row["js"])
    assert bool(row["command"]) == bool(row["cli"])
    if row["call"]:
        assert row["call"] in strings(str(row["js"]))
    if row["command"]:
        words = str(row["command"]).split()
        said = strings(str(row["cli"]))
        follow = "-f" in words
        words = [word for word in words if word != "-f"]
        assert any(said[at : at + len(words)] == words for at in range(len(said)))
        assert not follow or "-f" in said


def strings(test: str) -> list[str]:
    """Every text in a test of `tests/compat`, in its order."""
    file, _, name = test.partition("::")
    tree = ast.parse((ROOT / "tests" / "compat" / file).read_text())
    (function,) = (
        each for each in tree.body if isinstance(each, ast.FunctionDef) and each.name == name
    )
    found = [
        (each.lineno, each.col_offset, each.value)
        for each in ast.walk(function)
        if isinstance(each, ast.Constant) and isinstance(each.value, str)
    ]
    return [value for _, _, value in sorted(found)]
