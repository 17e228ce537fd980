"""Boots a physical copy in private, checks it, and adapts it to the server it will replace.

It listens on a private socket only, without passwords, runs no events and replicates nothing. Every
table is checked, the server's user gets access, then it stops cleanly.
"""

import tempfile
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from holdfast.contracts.archive import REPLAY, REPLAYING, Replay
from holdfast.contracts.engine import Address
from holdfast.contracts.local_servers import (
    CHECKED_AFTERWARDS,
    LocalServer,
    Login,
    is_foreign,
)
from holdfast.domain.errors import AddonRefused, AddonUnavailable, EvidenceMissing, RestoreDiffers
from holdfast.engines.mysql.client import facts, tools
from holdfast.engines.mysql.client.address import connect
from holdfast.engines.mysql.client.connection import Session, quote_qualified
from holdfast.engines.mysql.client.server_errors import translated
from holdfast.engines.mysql.client.tools import ToolSet
from holdfast.engines.mysql.hosting import administrator
from holdfast.engines.mysql.hosting.server import adoption, owner_of
from holdfast.engines.mysql.physical import binlog, foreign_accounts, log_replay
from holdfast.kit import durable, ids
from holdfast.kit.processes.guard import Guard
from holdfast.kit.processes.hosting import cell_of, give
from holdfast.kit.processes.process import DISCARD, Child, Command
from holdfast.kit.seal import Secret

_SOCKET_NAME = "s"
_ROOT = Login("root", Secret(""))
_WITHOUT_ACCOUNTS = ("--skip-grant-tables", "--event-scheduler=DISABLED")
_REPLAYER = "holdfast_replay"
"""Who replays. Without accounts the server refuses statements on accounts and on events."""
_REPLAYED = "replayed"
"""Name of a file in the tree: its base holds the log up to the stop."""
_MAX_LOG_LINES = 5
_CHECKABLE_ENGINES = ("InnoDB", "MyISAM", "Aria", "ARCHIVE", "CSV")


class Rehearsal:
    """One private boot of `directory`, with the programs with which `server` will run it."""

    def __init__(self, tools_dir: Path, directory: Path, server: LocalServer, guard: Guard) -> None:
        self._tools: ToolSet = tools.server(tools_dir, server.version)
        self._directory = directory
        self._server = server
        self._guard = guard

    def run(self, copy: Mapping[str, Any]) -> Mapping[str, object]:
        """Facts about what was proven of the snapshot with the facts `copy`, after the replay that
        they may ask for.

        RestoreDiffers or EvidenceMissing when it is not sound. The accounts of a foreign one are
        disarmed.
        """
        own_only = CHECKED_AFTERWARDS in copy
        checked: list[int] = []
        replay: Replay | None = copy.get(REPLAY)
        proven: dict[str, object] = {}
        if replay is not None and replay.stop.position is not None:
            proven["position"] = binlog.show_position(replay.stop.position)
            self._replay(replay, copy)

        def action(session: Session) -> None:
            checked.append(self._check(session, own_only=own_only))
            if is_foreign(copy):
                session.execute("FLUSH PRIVILEGES")
                foreign_accounts.disarm(session, self._tools.flavour, self._server.users)

        self._with_server(action)
        return {**proven, "checked": f"{checked[0]} tables by CHECK TABLE"}

    def _replay(self, replay: Replay, copy: Mapping[str, Any]) -> None:
        """Replays in a boot of its own. What was replayed by a dead attempt is not once more."""
        begun, done = (self._directory.parent / name for name in (REPLAYING, _REPLAYED))
        if done.exists():
            return
        log_replay.lay_out(replay.log, replay.stop)
        give(replay.log.directory, owner_of(self._server))
        durable.touch(begun)
        with tempfile.TemporaryDirectory(prefix="holdfast-") as private:
            home = Path(private)
            login = Login(_REPLAYER, Secret(ids.password()))
            account = administrator.account(login.user, "localhost")
            password = administrator.quoted(login.password.reveal())
            (home / "init").write_text(
                f"CREATE OR REPLACE USER {account} IDENTIFIED BY {password};\n"
                f"GRANT ALL PRIVILEGES ON *.* TO {account} WITH GRANT OPTION;\n"
            )
            give(home, owner_of(self._server))
            options = [f"--init-file={home / 'init'}", *log_replay.options(replay, home)]
            with self._booted(home, options) as child:
                with self._session(home, child, login) as session:
                    log_replay.replay_onto(session, replay, copy, self._guard)
                    session.execute(f"DROP USER {account}")
                    session.execute("SHUTDOWN")
                self._await_end(child)
        durable.move(begun, done)

    def settle(self) -> None:
        """Gives a data directory, whose administrator was the addon's owner, our administrator."""
        self._with_server(lambda _: None)

    def _with_server(self, action: Callable[[Session], None]) -> None:
        """Boots the server, runs `action`, grants the server's user access, and stops it."""
        with tempfile.TemporaryDirectory(prefix="holdfast-") as private:
            home = Path(private)
            give(home, owner_of(self._server))
            with self._booted(home, _WITHOUT_ACCOUNTS) as child:
                with self._session(home, child, _ROOT) as session:
                    action(session)
                    session.execute("FLUSH PRIVILEGES")
                    if self._server.ours and self._server.admin is not None:
                        administrator.limit_accounts(
                            session, self._tools.flavour, self._server.user
                        )
                    for statement in adoption(self._server, self._tools.flavour):
                        session.execute(statement.removesuffix(";"))
                    session.execute("SHUTDOWN")
                self._await_end(child)

    @contextmanager
    def _session(self, home: Path, child: Child, login: Login) -> Generator[Session]:
        """A session with the server that boots, once it answers."""
        address = Address(str(home / _SOCKET_NAME), 0, login.user, login.password, "")
        self._await(address, child)
        with translated(self._guard), connect(address) as session:
            release = self._guard.adopt(session.cut)
            try:
                yield session
            finally:
                release()

    def _await_end(self, child: Child) -> None:
        """Only a clean end leaves the first real start nothing to recover."""
        while not child.ended():
            self._guard.wait(0.1)
            self._guard.moved(0)
        finished = child.wait()
        if finished.status != 0:
            last = " / ".join(finished.stderr.splitlines()[-_MAX_LOG_LINES:])
            raise RestoreDiffers(f"the snapshot's server does not stop well: {last}")

    @contextmanager
    def _booted(self, home: Path, options: Sequence[str]) -> Generator[Child]:
        command = Command(
            [
                str(self._tools.server),
                "--no-defaults",
                f"--datadir={self._directory}",
                f"--tmpdir={home}",  # not shared: see `make_temporary_directory`
                f"--socket={home / _SOCKET_NAME}",
                f"--pid-file={home / 'pid'}",
                "--skip-networking",
                "--skip-slave-start",
                "--skip-log-bin",
                "--innodb-buffer-pool-size=64M",
                *options,
            ],
            cwd=str(self._directory),
            user=owner_of(self._server),
            cell=cell_of(self._server.cell, *self._tools.homes, self._directory.parent, home),
        )
        child = Child(command, stdout=DISCARD)
        release = self._guard.adopt(child.kill)
        try:
            yield child
        finally:
            release()
            child.close()

    def _await(self, address: Address, child: Child) -> None:
        while True:
            self._guard.wait(0.1)
            self._guard.moved(0)
            if child.ended():
                last = " / ".join(child.wait().stderr.splitlines()[-_MAX_LOG_LINES:])
                raise RestoreDiffers(f"the snapshot's server does not start: {last}")
            try:
                connect(address).close()
            except (AddonUnavailable, AddonRefused):
                continue
            return

    def _check(self, session: Session, *, own_only: bool) -> int:
        """Checks the server's own tables, and all others unless `own_only`; returns how many."""
        count = 0
        databases = [str(row[0]) for row in session.rows("SHOW DATABASES")]
        for database in databases:
            if database in ("information_schema", "performance_schema"):
                continue
            if own_only and database not in facts.SYSTEM:
                continue
            for table in facts.tables(session, database):
                if table["type"] in facts.TABLE_TYPES and table["engine"] in _CHECKABLE_ENGINES:
                    self._guard.check()
                    self._guard.moved(0)
                    rows = session.rows(f"CHECK TABLE {quote_qualified(database, table['name'])}")
                    bad = [str(row[3]) for row in rows if str(row[2]).lower() == "error"]
                    verdict = str(rows[-1][3]) if rows else "no answer"
                    if bad or verdict not in ("OK", "Table is already up to date"):
                        reasons = "; ".join(bad) or verdict
                        raise EvidenceMissing(f"{database}.{table['name']} is damaged: {reasons}")
                    count += 1
        return count
