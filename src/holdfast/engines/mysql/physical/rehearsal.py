"""Boots a physical copy where nobody sees it, checks it, and makes it ready for its place.

It listens on a private socket only, asks nobody for a password there, runs no events and
replicates nothing. Every table is checked; the place's user is let in; then it stops cleanly.
"""

import tempfile
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from pathlib import Path

from holdfast.contracts.engine import Address
from holdfast.contracts.local_servers import LocalServer
from holdfast.domain.errors import AddonRefused, AddonUnavailable, EvidenceMissing, RestoreDiffers
from holdfast.engines.mysql.client import facts, tools
from holdfast.engines.mysql.client.address import connect
from holdfast.engines.mysql.client.connection import Session, name
from holdfast.engines.mysql.client.server_errors import translated
from holdfast.engines.mysql.client.tools import ToolSet
from holdfast.engines.mysql.hosting import administrator
from holdfast.engines.mysql.hosting.server import adoption, owner_of
from holdfast.engines.mysql.physical import foreign_accounts
from holdfast.kit.processes.guard import Guard
from holdfast.kit.processes.hosting import cell_of, give
from holdfast.kit.processes.process import DISCARD, Child, Command
from holdfast.kit.seal import Secret

_SOCKET = "s"
_LAST_WORDS = 5
_CHECKED = ("InnoDB", "MyISAM", "Aria", "ARCHIVE", "CSV")


class Rehearsal:
    """One private boot of `directory`, with the programs that `place` will run it with."""

    def __init__(self, tools_dir: Path, directory: Path, server: LocalServer, guard: Guard) -> None:
        self._tools: ToolSet = tools.server(tools_dir, server.version)
        self._directory = directory
        self._place = server
        self._guard = guard

    def run(self, *, foreign: bool = False) -> Mapping[str, object]:
        """Facts about what was proven. RestoreDiffers or EvidenceMissing when it is not sound.
        The accounts of a `foreign` one lose their power.
        """
        checked: list[int] = []

        def look(session: Session) -> None:
            checked.append(self._check(session))
            if foreign:
                session.execute("FLUSH PRIVILEGES")
                foreign_accounts.disarm(session, self._tools.flavour, self._place.users)

        self._during(look)
        return {"checked": f"{checked[0]} tables by CHECK TABLE"}

    def settle(self) -> None:
        """Makes a data directory whose administrator was the addon's owner one of ours."""
        self._during(lambda _: None)

    def _during(self, look: Callable[[Session], None]) -> None:
        """Boots it, looks, lets in who shall get in, and stops it."""
        with tempfile.TemporaryDirectory(prefix="holdfast-") as private:
            home, user = Path(private), owner_of(self._place)
            give(home, user)
            address = Address(str(home / _SOCKET), 0, "root", Secret(""), "")
            with self._booted(home) as child:
                self._await(address, child)
                with translated(self._guard), connect(address) as session:
                    release = self._guard.adopt(session.cut)
                    try:
                        look(session)
                        self._adopt(session)
                        session.execute("SHUTDOWN")
                    finally:
                        release()
                self._stopped(child)

    def _adopt(self, session: Session) -> None:
        session.execute("FLUSH PRIVILEGES")
        if self._place.ours and self._place.admin is not None:
            administrator.weaken(session, self._tools.flavour, self._place.user)
        for statement in adoption(self._place, self._tools.flavour):
            session.execute(statement.removesuffix(";"))

    @contextmanager
    def _booted(self, home: Path) -> Generator[Child]:
        child = Child(self._command(home), stdout=DISCARD)
        release = self._guard.adopt(child.kill)
        try:
            yield child
        finally:
            release()
            child.close()

    def _command(self, home: Path) -> Command:
        return Command(
            [
                str(self._tools.server),
                "--no-defaults",
                f"--datadir={self._directory}",
                f"--tmpdir={home}",  # not where others have theirs: see `room_aside`
                f"--socket={home / _SOCKET}",
                f"--pid-file={home / 'pid'}",
                "--skip-networking",
                "--skip-grant-tables",
                "--skip-slave-start",
                "--skip-log-bin",
                "--event-scheduler=DISABLED",
                "--innodb-buffer-pool-size=64M",
            ],
            cwd=str(self._directory),
            user=owner_of(self._place),
            cell=cell_of(self._place.cell, *self._tools.homes, self._directory.parent, home),
        )

    def _await(self, address: Address, child: Child) -> None:
        while True:
            self._guard.wait(0.1)
            self._guard.moved(0)
            if child.ended():
                last = " / ".join(child.wait().stderr.splitlines()[-_LAST_WORDS:])
                raise RestoreDiffers(f"the snapshot's server does not start: {last}")
            try:
                connect(address).close()
            except (AddonUnavailable, AddonRefused):
                continue
            return

    def _check(self, session: Session) -> int:
        """How many tables are sound, the server's own among them."""
        count = 0
        databases = [str(row[0]) for row in session.rows("SHOW DATABASES")]
        for database in databases:
            if database in ("information_schema", "performance_schema"):
                continue
            for table in facts.tables(session, database):
                if table["type"] in facts.TABLE_TYPES and table["engine"] in _CHECKED:
                    self._check_one(session, database, table["name"])
                    count += 1
        return count

    def _check_one(self, session: Session, database: str, table: str) -> None:
        self._guard.check()
        self._guard.moved(0)
        answers = session.rows(f"CHECK TABLE {name(database)}.{name(table)}")
        bad = [str(row[3]) for row in answers if str(row[2]).lower() == "error"]
        verdict = str(answers[-1][3]) if answers else "no answer"
        if bad or verdict not in ("OK", "Table is already up to date"):
            raise EvidenceMissing(f"{database}.{table} is damaged: {'; '.join(bad) or verdict}")

    def _stopped(self, child: Child) -> None:
        """Cleanly: a place's first start must have nothing to recover."""
        while not child.ended():
            self._guard.wait(0.1)
            self._guard.moved(0)
        finished = child.wait()
        if finished.status != 0:
            last = " / ".join(finished.stderr.splitlines()[-_LAST_WORDS:])
            raise RestoreDiffers(f"the snapshot's server does not stop well: {last}")
