"""Reports sessions that block ours by a lock: only their owner can end them."""

import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress

import psycopg

from holdfast.contracts.engine import Address
from holdfast.domain.errors import Failure
from holdfast.engines.postgresql.client.address import connect

BLOCKED_SECONDS = 110.0
"""Waits of this length are reported: shortly before pg_dump gives up, after 120 s."""

_LOOKS_PER_WAIT = 10

_BLOCKERS = """
SELECT w.pid, w.datname::text, l.relation, b.pid, b.usename::text, b.application_name,
       coalesce(host(b.client_addr), 'the server''s machine'),
       date_trunc('second', b.xact_start)::text, b.state,
       extract(epoch FROM clock_timestamp() - coalesce(l.waitstart, w.state_change))::int
  FROM pg_stat_activity w
  JOIN pg_locks l ON l.pid = w.pid AND NOT l.granted
 CROSS JOIN LATERAL unnest(pg_blocking_pids(w.pid)) AS holder (pid)
  LEFT JOIN pg_stat_activity b ON b.pid = holder.pid
 WHERE w.application_name = %s AND b.application_name IS DISTINCT FROM w.application_name
   AND clock_timestamp() - coalesce(l.waitstart, w.state_change) >= make_interval(secs => %s)
 ORDER BY w.pid, b.pid
"""


@contextmanager
def report_blockers(
    address: Address, application: str, say: Callable[[str], None], seconds: float | None = None
) -> Generator[None]:
    """While the block runs, calls `say` once with a sentence for each session that blocks one of
    ours.

    `application` is the application name of our sessions. A block is reported when it has lasted
    `seconds` (None: `BLOCKED_SECONDS`).
    """
    stopped = threading.Event()
    threshold = BLOCKED_SECONDS if seconds is None else seconds
    reported: set[tuple[object, ...]] = set()

    def watch() -> None:
        while not stopped.wait(threshold / _LOOKS_PER_WAIT):
            with suppress(
                Failure, psycopg.Error
            ):  # the session that waits will report what is wrong
                for key, sentence in blockers(address, application, threshold):
                    if key not in reported:
                        reported.add(key)
                        say(sentence)

    thread = threading.Thread(target=watch, name="blockers", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stopped.set()


def blockers(
    address: Address, application: str, seconds: float
) -> Generator[tuple[tuple[object, ...], str]]:
    """Yields pairs of process ids (waiting, blocking), each with a sentence about them."""
    with connect(address) as session:
        rows = session.execute(_BLOCKERS, [application, seconds]).fetchall()
    for waiting, database, relation, pid, user, blocking, client, since, state, waited in rows:
        table = "something"
        if relation is not None:
            with connect(address, str(database)) as session:
                name = session.execute("SELECT %s::oid::regclass::text", [relation]).fetchone()
            table = str(name[0]) if name else f"table {relation}"
        holder = "a prepared transaction holds: look at pg_prepared_xacts"
        if pid is not None:
            holder = (
                f"pid {pid} holds or waits for before us (user {user}, application"
                f" {blocking!r} on {client}, {state}, its transaction since {since});"
                f" SELECT pg_terminate_backend({pid}) ends it"
            )
        yield (
            (waiting, pid),
            f"waiting for {waited} s for a lock on {table} in database {database}, which {holder}",
        )
