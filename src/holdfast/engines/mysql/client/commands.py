"""Argument lists of the client and server programs: pure functions, no secret in any of them."""

from collections.abc import Sequence
from pathlib import Path

from holdfast.engines.mysql.client.tools import MARIADB, ToolSet
from holdfast.kit.processes.process import PRIVATE, Command
from holdfast.kit.seal import Secret


def dump(
    tools: ToolSet,
    options: Secret,
    databases: Sequence[str],
    *,
    history: bool,
    ignored: Sequence[str] = (),
) -> Command:
    """One transaction for all databases. `ignored` are views that cannot be shown."""
    return Command(
        [
            str(tools.dump),
            f"--defaults-file={PRIVATE}",
            "--single-transaction",
            "--quick",
            "--hex-blob",
            "--routines",
            "--triggers",
            "--events",
            "--skip-add-locks",  # under LOCK TABLES no row takes its default from a sequence
            "--default-character-set=utf8mb4",
            "--max-allowed-packet=1G",
            *(
                ["--dump-history"]
                if history
                else []
                if tools.flavour == MARIADB
                else ["--set-gtid-purged=OFF", "--column-statistics=0", "--no-tablespaces"]
            ),
            *(f"--ignore-table={view}" for view in ignored),
            "--databases",
            "--",
            *databases,
        ],
        env={"MYSQL_TEST_LOGIN_FILE": "/dev/null/none"},  # ~/.mylogin.cnf belongs to a person
        private=options,
    )


def server(tools: ToolSet, directory: Path, port: int, *, run_as: str | int | None) -> Command:
    """Everything a managed server is told: no option file is read, wherever it may lie."""
    return Command(
        [
            str(tools.server),
            "--no-defaults",
            f"--datadir={directory}",
            f"--tmpdir={aside(directory)}",
            f"--port={port}",
            "--bind-address=127.0.0.1",
            f"--socket={SOCKET}",
            f"--pid-file={PID_FILE}",
            "--local-infile=0",
            "--skip-name-resolve",
            "--skip-symbolic-links",
            "--character-set-server=utf8mb4",
            "--max-allowed-packet=1G",  # no row of another server is too long to be restored
            *(
                ["--skip-log-bin", f"--secure-file-priv={_NO_FILES}"]
                if tools.flavour == MARIADB
                else ["--disable-log-bin", "--mysqlx=OFF", "--secure-file-priv=NULL"]
            ),
        ],
        cwd=str(directory),
        user=run_as,
    )


def aside(directory: Path) -> Path:
    """Beside a data directory, in which every directory is a database."""
    return directory.with_name(f"{directory.name}.tmp")


SOCKET = "holdfast.sock"
"""Relative to the data directory, which the server makes its own: never too long a path."""
PID_FILE = "holdfast.pid"
_NO_FILES = "/proc/fs"
"""SQL may read and write files of this directory only, and there are none of anybody in it."""
