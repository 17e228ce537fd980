"""Idling costs what there is to do and a page what is on it, whatever the catalogue holds.

Every question that the daemons ask in their rounds, and that a page asks, is asked again with
EXPLAIN, on both databases: no growing table is read from end to end.
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, inspect

from fixtures.asked import Asked, listening
from fixtures.in_process_installation import POLICY, InProcessInstallation
from fixtures.timetables import CALLER, DAY
from holdfast.bootstrap import PLANS
from holdfast.catalog import backups
from holdfast.catalog.access import cli_logins, passkeys, web_sessions
from holdfast.catalog.alarms import alarms
from holdfast.catalog.database.page import Page
from holdfast.catalog.database.session import Catalog
from holdfast.catalog.schema import Backup
from holdfast.daemons.archiving.remover import Remover
from holdfast.daemons.drills import DrillPlanner
from holdfast.daemons.janitor import Janitor
from holdfast.daemons.pulse import Pulse, Rhythm
from holdfast.daemons.reader import Reader
from holdfast.daemons.reaper import Reaper
from holdfast.daemons.scheduler import Scheduler
from holdfast.daemons.store_checker import StoreChecker
from holdfast.daemons.supervisor import Supervisor
from holdfast.domain.operation import Status
from holdfast.jobs.core.leftovers import remover
from holdfast.usecases.running_jobs import Running
from holdfast.views.backups import texts
from holdfast.views.dashboard import activity, changes, fleet, timeline

GROWING = (
    "audit_log", "backups", "copies", "deletions", "imports", "journal", "occurrences",
    "operations", "restores", "drills", "web_sessions", "passkeys", "recovery_codes", "cli_logins",
    "archive_lines", "archive_pieces", "archive_points",
)  # fmt: skip
# Each has a row for what waits, and none for what is over.
ONLY_WHAT_WAITS = (
    "deletions_open", "imports_sealed", "operations_one_at_a_time", "operations_beside",
    "drills_open",
)  # fmt: skip
SCANS = re.compile(
    rf"(?:SCAN|Seq Scan on) (?:{'|'.join(GROWING)})\b(?!.* USING (?:COVERING )?INDEX"
    rf" (?:{'|'.join(ONLY_WHAT_WAITS)}))"
    rf"|SEARCH (?:{'|'.join(GROWING)}) USING INTEGER PRIMARY KEY \(rowid[<>]"  # all from there on
)


def plan(connection: Connection, statement: str, parameters: Any) -> str:
    """Of an empty table PostgreSQL reads all, unless that is made dear: then it says if it must."""
    if connection.dialect.name == "sqlite":
        rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
        return "\n".join(row[3] for row in rows)
    connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
    rows = connection.exec_driver_sql(f"EXPLAIN {statement}", parameters)
    return "\n".join(row[0] for row in rows)


def whole_reads(catalog: Catalog, asked: list[Asked]) -> list[str]:
    found: list[str] = []
    with catalog.engine.connect() as connection:
        for statement, parameters in asked:
            if statement.startswith(("SELECT", "UPDATE", "DELETE")):
                explained = plan(connection, statement, parameters)
                if SCANS.search(explained):
                    found.append(f"{statement}\n{explained}")
    return found


def test_no_round_reads_a_growing_table_from_end_to_end(
    installation: InProcessInstallation, new_addon: Callable[[], int], tmp_path: Path
) -> None:
    catalog, tools = installation.catalog, installation.toolbox
    new_addon()
    rhythm = Rhythm()
    pulse = Pulse(tools, Running(), "worker", rhythm)
    reaper = Reaper(tools, pulse, rhythm)
    with listening(catalog) as asked:
        pulse.round()
        reaper.reap_departed()
        reaper.find_lost()
        Supervisor(tools, tmp_path / "supervisor.lock").round()
        Scheduler(tools, 1).round()
        Janitor(tools, remover(tools, PLANS), POLICY).round()
        installation.pruner.round()
        Remover(tools, POLICY, installation.pruner.is_sound).turn()
        StoreChecker(tools, 0).round()
        Reader(tools, 30 * DAY).round()
        DrillPlanner(tools).round()
    assert len({statement for statement, _ in asked}) > 20
    assert whole_reads(catalog, asked) == []


def test_a_page_reads_no_more_than_itself(
    installation: InProcessInstallation, addon_pk: int
) -> None:
    for _ in range(3):
        installation.backup(addon_pk)
    with installation.catalog.read() as session, listening(installation.catalog) as asked:
        for page in (Page(size=2), Page(size=2, number=2)):
            found = backups.listed(session, addon_pk, page)
            texts(session, found.items)
        newest = backups.listed(session, addon_pk, Page(1))
        backups.listed(session, addon_pk, Page(cursor=newest.cursor))
    assert len(asked) == 2 * 3 + 2
    assert whole_reads(installation.catalog, asked) == []


def test_pages_of_the_dashboard_read_no_growing_table_whole(
    installation: InProcessInstallation, addon_pk: int
) -> None:
    """Drills and operations of all addons are read from their newest end, by the limit."""
    installation.backup(addon_pk)
    now = installation.clock.at
    with installation.catalog.read() as session, listening(installation.catalog) as asked:
        tiles = fleet.Tiles(installation.clock).of(session, CALLER, None)
        everything = fleet.fleet(session, CALLER, tiles, now - DAY)
        fleet.bars(session, everything.tiles)
        timeline.timeline(session, addon_pk, now, "30d")
        timeline.growth(session, addon_pk, now)
        changes.compare(session, changes.Snapshot(), changes.look(session))
        activity.acts(session, CALLER, now, 50)
        backups.chosen(session, addon_pk, Page(), None, [Status.FAILED])
        alarms.open_counts(session, CALLER)
    assert len(asked) > 12
    assert whole_reads(installation.catalog, asked) == []


def test_signing_in_reads_its_own_rows(catalog: Catalog) -> None:
    with catalog.write() as session, listening(catalog) as asked:
        web_sessions.sitting(session, "digest", DAY)
        web_sessions.of_user(session, 1)
        web_sessions.forget_ended(session, DAY)
        passkeys.of_credential(session, "credential")
        passkeys.of_user(session, 1)
        passkeys.unused_codes(session, 1)
        passkeys.recovery_code(session, 1, "digest")
        passkeys.forget_codes(session, 1)
        cli_logins.waiting(session, "digest", DAY)
        cli_logins.count_of(session, "127.0.0.1", DAY)
        cli_logins.forget_ended(session, DAY)
    assert len(asked) > 10
    assert whole_reads(catalog, asked) == []


def test_a_plain_row_says_what_the_entity_says(
    installation: InProcessInstallation, addon_pk: int
) -> None:
    pk = installation.backup(addon_pk)
    with installation.catalog.read() as session:
        entity = backups.get(session, pk)
        (plain,) = backups.listed(session, addon_pk, Page()).items
        names = [each.key for each in inspect(Backup).column_attrs if each.key != "evidence"]
        assert [getattr(plain, name) for name in names] == [getattr(entity, name) for name in names]
        assert not hasattr(plain, "evidence"), "it is large: lists do without"


def test_what_reads_all_is_recognised(catalog: Catalog) -> None:
    asked: list[Asked] = [("SELECT pk FROM backups WHERE name = 'b'", ())]
    assert len(whole_reads(catalog, asked)) == 1
    rest: list[Asked] = [("SELECT pk FROM backups WHERE pk > 7 AND name = 'b'", ())]
    assert len(whole_reads(catalog, rest)) == (1 if catalog.is_sqlite else 0)
