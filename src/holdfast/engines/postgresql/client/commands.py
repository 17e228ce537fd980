"""Argument lists of the client and server programs: pure functions, no secret in any of them."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from holdfast.contracts.engine import Address
from holdfast.engines.postgresql.client.address import child_environment, conninfo
from holdfast.engines.postgresql.client.tools import ToolSet
from holdfast.kit.processes.process import Command

_LOCK_WAIT = "--lock-wait-timeout=120000"  # a table locked longer than this fails the dump loudly


def pg_dump(
    tools: ToolSet,
    address: Address,
    database: str,
    *,
    encoding: str,
    snapshot: str,
    application: str,
) -> Command:
    """Custom format, uncompressed: the pipeline compresses better and faster than -Z does.

    `encoding` is the database's. Without it a dump is in that of its session, which a role or a
    database may set to one that lacks characters of the data.
    """
    return Command(
        [
            tools.program("pg_dump"),
            "--format=custom",
            "--compress=0",
            "--no-password",
            f"--encoding={encoding}",
            _LOCK_WAIT,
            f"--snapshot={snapshot}",
            f"--dbname={conninfo(address, database, application)}",
        ],
        env=child_environment(address),
    )


def pg_dumpall_globals(
    tools: ToolSet, address: Address, application: str, *, door: str, passwords: bool
) -> Command:
    """Roles, memberships and tablespaces; password hashes only a superuser may read. `door` is a
    database that can be entered."""
    return Command(
        [
            tools.program("pg_dumpall"),
            "--globals-only",
            "--no-password",
            "--encoding=UTF8",
            *([] if passwords else ["--no-role-passwords"]),
            f"--dbname={conninfo(address, door, application)}",
            f"--database={door}",
        ],
        env=child_environment(address),
    )


def pg_restore_list(tools: ToolSet, *options: str) -> Command:
    """The table of contents of an archive, on standard input unless `options` name a file."""
    return Command([tools.program("pg_restore"), "--list", *options])


def pg_restore_script(tools: ToolSet, *options: str) -> Command:
    """An archive on standard input, of custom or tar format, to its SQL; owners are left out."""
    return Command(
        [tools.program("pg_restore"), "--no-owner", "--no-privileges", "--file=-", *options],
    )


def pg_restore_script_of(tools: ToolSet, list_file: str, *options: str) -> Command:
    """The entries of the list `wanted` to their SQL, each under its number. Of an archive on
    standard input, unless `options` name a file."""
    return Command(
        [tools.program("pg_restore"), "--verbose", f"--use-list={list_file}", "--file=-", *options]
    )


def pg_restore_statements(tools: ToolSet, list_file: str, archive: str) -> Command:
    """The entries of the list `wanted` to their SQL, with owners and grants."""
    return Command([tools.program("pg_restore"), f"--use-list={list_file}", "--file=-", archive])


def pg_restore(
    tools: ToolSet,
    address: Address,
    database: str,
    *,
    application: str,
    options: Sequence[str] = (),
    settings: Mapping[str, str] | None = None,
) -> Command:
    """From standard input into one database, unless `options` name a file. It goes on after an
    error: see `failures`. `settings` as in `child_environment`."""
    return Command(
        [
            tools.program("pg_restore"),
            "--no-password",
            f"--dbname={conninfo(address, database, application)}",
            *options,
        ],
        env=child_environment(address, settings),
    )


def initdb(
    tools: ToolSet, directory: Path, user: str, *, password_file: Path, run_as: str | int | None
) -> Command:
    """A locale every Debian has and every major understands, so dumps move between majors."""
    return Command(
        [
            tools.program("initdb"),
            f"--pgdata={directory}",
            f"--username={user}",
            f"--pwfile={password_file}",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--locale=C.UTF-8",
            "--data-checksums",
        ],
        cwd="/",
        user=run_as,
    )


def postgres(
    tools: ToolSet, directory: Path, port: int, *, sockets: str, run_as: str | int | None
) -> Command:
    settings: Mapping[str, str] = {
        "listen_addresses": "127.0.0.1",
        "unix_socket_directories": sockets,
        "log_line_prefix": "%m [%p] %q%u@%d ",
        "logging_collector": "off",
    }
    return Command(
        [
            tools.program("postgres"),
            "-D",
            str(directory),
            "-p",
            str(port),
            *(word for name, value in settings.items() for word in ("-c", f"{name}={value}")),
        ],
        env=tools.environment,
        cwd=str(directory),
        user=run_as,
    )
