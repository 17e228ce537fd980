"""Argument lists of the client and server programs, without secrets."""

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
    events: bool,
    ignored: Sequence[str] = (),
) -> Command:
    """Dumps all databases in one transaction. `ignored` are broken views to leave out."""
    return Command(
        [
            str(tools.dump),
            f"--defaults-file={PRIVATE}",
            "--single-transaction",
            "--quick",
            "--hex-blob",
            "--routines",
            "--triggers",
            *(["--events"] if events else []),
            "--skip-add-locks",  # under LOCK TABLES defaults from sequences fail
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
        env={"MYSQL_TEST_LOGIN_FILE": "/dev/null/none"},  # not the operator's ~/.mylogin.cnf
        private=options,
    )


def server(
    tools: ToolSet, directory: Path, port: int, *, run_as: str | int | None, keeps_log: bool = False
) -> Command:
    """Starts a managed server with all its settings on the command line; no option file is read."""
    without_log = "--skip-log-bin" if tools.flavour == MARIADB else "--disable-log-bin"
    return Command(
        [
            str(tools.server),
            "--no-defaults",
            f"--datadir={directory}",
            f"--tmpdir={temporary_directory(directory)}",
            f"--port={port}",
            "--bind-address=127.0.0.1",
            f"--socket={SOCKET}",
            f"--pid-file={PID_FILE}",
            "--local-infile=0",
            "--skip-name-resolve",
            "--skip-symbolic-links",
            "--character-set-server=utf8mb4",
            "--max-allowed-packet=1G",  # so that rows of any server can be restored
            *(
                [f"--secure-file-priv={_EMPTY_DIRECTORY}"]
                if tools.flavour == MARIADB
                else ["--mysqlx=OFF", "--secure-file-priv=NULL"]
            ),
            *(_LOG_OPTIONS if keeps_log and tools.flavour == MARIADB else [without_log]),
        ],
        cwd=str(directory),
        user=run_as,
    )


def initialise(
    tools: ToolSet, directory: Path, script: Secret, *, run_as: str | int | None
) -> Command:
    """Creates a data directory and runs a script in it."""
    argv = (
        [
            tools.companion("mariadb-install-db"),
            "--no-defaults",
            "--auth-root-authentication-method=normal",
            "--skip-test-db",
            f"--extra-file={PRIVATE}",
        ]
        if tools.flavour == MARIADB
        else [
            str(tools.server),
            "--no-defaults",
            "--initialize-insecure",
            f"--init-file={PRIVATE}",
            "--disable-log-bin",
            "--mysqlx=OFF",
        ]
    )
    directories = [f"--datadir={directory}", f"--tmpdir={temporary_directory(directory)}"]
    return Command([*argv, *directories], cwd="/", user=run_as, private=script)


def backup(tools: ToolSet, options: Secret, directory: Path) -> Command:
    """Copies a running server's data directory to standard output."""
    return Command(
        [
            str(tools.backup),
            f"--defaults-file={PRIVATE}",
            "--backup",
            "--stream=mbstream",
            "--parallel=1",
            f"--datadir={directory}",
        ],
        cwd="/",
        private=options,
    )


def temporary_directory(directory: Path) -> Path:
    """The server's directory for temporary files: beside the data directory, in which every
    directory is a database."""
    return directory.with_name(f"{directory.name}.tmp")


SOCKET = "holdfast.sock"
"""Relative to the data directory, the server's working directory, so the path is never too long."""
PID_FILE = "holdfast.pid"
_LOG_OPTIONS = (
    "--log-bin=mariadb-bin",
    "--server-id=1",
    "--binlog-format=ROW",
    "--sync-binlog=1",
    "--binlog-expire-logs-seconds=259200",
)
"""Files are removed when they are stored. Those that nothing stores go after three days, so that
they never fill the disk."""
_EMPTY_DIRECTORY = "/proc/fs"
"""The only directory in which SQL may read and write files: it never holds any."""
