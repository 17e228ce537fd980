"""Argument lists of the client and server programs: pure functions, no secret in any of them."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from holdfast.contracts.engine import Address
from holdfast.engines.postgresql.client.address import child_environment, conninfo
from holdfast.engines.postgresql.client.tools import ToolSet
from holdfast.kit.processes.process import Command

_LOCK_WAIT = "--lock-wait-timeout=120000"  # ms; a table that stays locked longer fails the dump
TIME_ZONE = "UTC"


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

    `encoding` is the database's. Without it pg_dump would use its session's encoding, which a role
    or database may set to one that lacks characters of the data. Instants are written in UTC, so
    that equal data has equal text in the dumps of all servers.
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
        env=child_environment(address, {"timezone": TIME_ZONE}),
    )


def pg_dumpall_globals(
    tools: ToolSet, address: Address, application: str, *, database: str, passwords: bool
) -> Command:
    """Dumps roles, memberships and tablespaces; `passwords`: with hashes, which needs a superuser.

    `database` is any that we may connect to.
    """
    return Command(
        [
            tools.program("pg_dumpall"),
            "--globals-only",
            "--no-password",
            "--encoding=UTF8",
            *([] if passwords else ["--no-role-passwords"]),
            f"--dbname={conninfo(address, database, application)}",
            f"--database={database}",
        ],
        env=child_environment(address),
    )


def pg_restore_list(tools: ToolSet, *options: str) -> Command:
    """Lists the contents of an archive on standard input, or of the file that `options` name."""
    return Command([tools.program("pg_restore"), "--list", *options])


def pg_restore_script(tools: ToolSet, *options: str) -> Command:
    """Converts an archive of custom or tar format on standard input to SQL without owners and
    grants."""
    return Command(
        [tools.program("pg_restore"), "--no-owner", "--no-privileges", "--file=-", *options],
    )


def pg_restore_script_of(tools: ToolSet, list_file: str, *options: str) -> Command:
    """Converts the entries in `list_file` to SQL, each under its number.

    The archive is on standard input unless `options` name a file.
    """
    return Command(
        [tools.program("pg_restore"), "--verbose", f"--use-list={list_file}", "--file=-", *options]
    )


def pg_restore_statements(tools: ToolSet, list_file: str, archive: str) -> Command:
    """Converts the entries in `list_file` to SQL, with owners and grants."""
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
    """Restores into one database, from standard input or the file that `options` name.

    pg_restore goes on after an error: see `failures`. `settings` as in `child_environment`.
    """
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
    """Makes a data directory in a locale that every Debian and every major has, so dumps move
    freely."""
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
