"""Idling costs what there is to do, not what the catalogue holds: nothing is read from end to end.

Every question that the daemons ask in their rounds is asked again with EXPLAIN, on both databases.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, event

from fixtures.keeping import POLICY, Keeper
from holdfast.bootstrap import PLANS
from holdfast.catalog.session import Catalog
from holdfast.daemons.auditor import Auditor
from holdfast.daemons.janitor import Janitor
from holdfast.daemons.pulse import Pulse, Rhythm
from holdfast.daemons.reaper import Reaper
from holdfast.daemons.scheduler import Scheduler
from holdfast.daemons.supervisor import Supervisor
from holdfast.jobs.toolbox import Running

GROWING = (
    "audit_log", "backups", "copies", "deletions", "imports", "journal", "occurrences",
    "operations", "restores",
)  # fmt: skip
# Each has a row for what waits, and none for what is over.
ONLY_WHAT_WAITS = ("deletions_open", "imports_sealed", "operations_one_at_a_time")
SCANS = re.compile(
    rf"(?:SCAN|Seq Scan on) ({'|'.join(GROWING)})\b(?!.* USING (?:COVERING )?INDEX"
    rf" (?:{'|'.join(ONLY_WHAT_WAITS)}))"
)
Asked = tuple[str, Any]


@contextmanager
def listening(*engines: object) -> Iterator[list[Asked]]:
    heard: list[Asked] = []

    def hear(_: object, __: object, statement: str, parameters: object, *___: object) -> None:
        heard.append((statement, parameters))

    for engine in engines:
        event.listen(engine, "before_cursor_execute", hear)
    yield heard
    for engine in engines:
        event.remove(engine, "before_cursor_execute", hear)


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
    keeper: Keeper, new_addon: Callable[[], int], tmp_path: Path
) -> None:
    catalog, tools = keeper.catalog, keeper.toolbox
    new_addon()
    rhythm = Rhythm()
    pulse = Pulse(tools, Running(), "worker", rhythm)
    reaper = Reaper(tools, pulse, rhythm)
    with listening(*{catalog.engine, catalog._reader}) as asked:  # pyright: ignore[reportPrivateUsage]
        pulse.round()
        reaper.reap_departed()
        reaper.find_lost()
        Supervisor(tools, tmp_path / "supervisor.lock").round()
        Scheduler(tools, 1).round()
        Janitor(tools, PLANS, POLICY).round()
        keeper.pruner.round()
        Auditor(tools, 0).round()
    assert len({statement for statement, _ in asked}) > 20
    assert whole_reads(catalog, asked) == []


def test_what_reads_all_is_recognised(catalog: Catalog) -> None:
    asked: list[Asked] = [("SELECT pk FROM backups WHERE name = 'b'", ())]
    assert len(whole_reads(catalog, asked)) == 1
