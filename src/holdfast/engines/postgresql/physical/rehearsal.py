"""Boots a physical copy where nobody sees it, proves it, and makes it ready for its place.

A copied server brings its settings, its archiving and its subscriptions along. Here it listens on
a private socket only, archives nothing, replicates nothing and loads no foreign library; whatever
its own files say, the command line wins. It begins a new timeline: see `timelines`.
"""

import os
import tempfile
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from psycopg.sql import SQL, Identifier, Literal

from holdfast.contracts.engine import Address
from holdfast.contracts.local_servers import LocalServer
from holdfast.domain.errors import (
    AddonRefused,
    AddonUnavailable,
    EvidenceMissing,
    RestoreDiffers,
)
from holdfast.engines.postgresql.client import facts, tools
from holdfast.engines.postgresql.client.address import Session, connect
from holdfast.engines.postgresql.client.server_errors import translated
from holdfast.engines.postgresql.client.tools import ToolSet
from holdfast.engines.postgresql.hosting import administrator, ownership
from holdfast.engines.postgresql.hosting.server import owner_of
from holdfast.engines.postgresql.physical import amcheck, data_directory, foreign_roles
from holdfast.engines.postgresql.physical.timelines import TIMELINE, NewTimeline
from holdfast.kit.processes.guard import Guard
from holdfast.kit.processes.hosting import cell_of
from holdfast.kit.processes.process import (
    DISCARD,
    Child,
    Command,
    Finished,
    ids_of,
    require_success,
    run,
)
from holdfast.kit.seal import Secret

_PRIVATE: Mapping[str, str] = {
    "listen_addresses": "",
    "archive_mode": "on",  # what is written here waits for the place's own archive_command
    "archive_command": "",
    "archive_cleanup_command": "",
    "restore_command": "",
    "primary_conninfo": "",
    "max_wal_senders": "0",
    "max_logical_replication_workers": "0",
    "wal_level": "replica",
    "hot_standby": "off",
    "shared_preload_libraries": "",
    "session_preload_libraries": "",
    "local_preload_libraries": "",
    "session_replication_role": "replica",  # event triggers stay silent
    "autovacuum": "off",
    "fsync": "on",
    "ssl": "off",
    "logging_collector": "off",
    "log_destination": "stderr",
    "external_pid_file": "",
    "shared_buffers": "64MB",
    "huge_pages": "off",
    "data_sync_retry": "off",
}
_TRUST = "local all all trust\n"
_PORT = 5432  # only the name of a socket in a private directory
_SHOWN_LOG_LINES = 5
_ARCHIVE_LIBRARY_SINCE = 15
_EVENT_TRIGGERS_SETTING_SINCE = 17
"""From this major on a login fires event triggers, which a setting can keep silent."""


class Rehearsal:
    """One private boot of `directory`, with the programs that `place` will run it with."""

    def __init__(self, tools_dir: Path, directory: Path, server: LocalServer, guard: Guard) -> None:
        self._tools: ToolSet = tools.server(tools_dir, server.version)
        self._directory = directory
        self._place = server
        self._user = owner_of(server)
        self._guard = guard

    def run(self, copy: facts.Facts, *, foreign: bool = False) -> Mapping[str, object]:
        """`copy` holds the facts of the snapshot. Returns those about what was proven;
        RestoreDiffers or EvidenceMissing when it is not sound. The roles of a `foreign` one lose
        their power.
        """
        begun = NewTimeline(self._tools, self._directory.parent, self._place, copy)
        with tempfile.TemporaryDirectory(prefix="holdfast-") as private:
            home = Path(private)
            with self._booted(home, begun) as child:
                address = Address(private, _PORT, copy["superuser"], Secret(""), "postgres")
                self._await(address, child)
                proven = self._look(address, begun)
                self._silence(address)
                if foreign:
                    self._disarm(address)
                if self._place.admin is None:
                    self._let_in(address)
                else:
                    proven["handedOver"] = self._confine(address)
        return {**proven, "checksums": self._checksums()}

    def settle(self, names: Sequence[str]) -> list[str]:
        """Makes a data directory whose superuser was the addon's owner one of ours. `names`: whom
        its superuser may be called. Returns what stays with ours and nobody can use."""
        with (
            tempfile.TemporaryDirectory(prefix="holdfast-") as private,
            self._booted(Path(private)) as child,
        ):
            tried = [Address(private, _PORT, name, Secret(""), "postgres") for name in names]
            self._await(tried[0], child, tried[1:])
            return self._confine(self._of_superuser(tried))

    def _of_superuser(self, tried: Sequence[Address]) -> Address:
        for address in tried:
            with suppress(AddonRefused), connect(address) as session:
                return replace(address, user=administrator.bootstrap(session))
        raise RestoreDiffers("none of its known users is in the data directory")

    @contextmanager
    def _booted(self, home: Path, begun: NewTimeline | None = None) -> Generator[Child]:
        child = Child(self._command(home, begun), stdout=DISCARD)
        release = self._guard.adopt(child.kill)
        try:
            yield child
            require_success(self._stopped())
        finally:
            release()
            child.close()

    def _command(self, home: Path, begun: NewTimeline | None) -> Command:
        user = self._user
        for name, text in (("hba", _TRUST), ("ident", ""), ("conf", "")):
            (home / name).write_text(text)
        for path in (home, *home.iterdir()):
            if user is not None:
                os.chown(path, *ids_of(user))
        settings = {
            **_PRIVATE,
            **(begun.settings(home) if begun else {}),
            **({"archive_library": ""} if self._tools.major >= _ARCHIVE_LIBRARY_SINCE else {}),
            **data_directory.needed_settings(self._tools, self._directory),
            **(
                {"event_triggers": "off"}
                if self._tools.major >= _EVENT_TRIGGERS_SETTING_SINCE
                else {}
            ),
            "unix_socket_directories": str(home),
            "hba_file": str(home / "hba"),
            "ident_file": str(home / "ident"),
            "config_file": str(home / "conf"),
        }
        words = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        argv = [self._tools.program("postgres"), "-D", str(self._directory), "-p", str(_PORT)]
        cell = cell_of(self._place.cell, self._tools.directory.parent, self._directory.parent, home)
        return Command(
            [*argv, *words],
            env=self._tools.environment,
            cwd=str(self._directory),
            user=user,
            cell=cell,
        )

    def _await(self, address: Address, child: Child, others: Sequence[Address] = ()) -> None:
        """Until recovery has reached consistency and ended. `others`: who might get in instead."""
        while True:
            self._guard.wait(0.1)
            self._guard.moved(0)
            if child.ended():
                last = " / ".join(child.wait().stderr.splitlines()[-_SHOWN_LOG_LINES:])
                raise RestoreDiffers(f"the snapshot's server does not start: {last}")
            try:
                connect(address).close()
            except AddonUnavailable:
                continue
            except AddonRefused:
                if not others:
                    raise
            return

    def _look(self, address: Address, begun: NewTimeline) -> dict[str, object]:
        with translated(), connect(address) as session:
            if facts.server(session)["standby"]:
                raise RestoreDiffers("the snapshot's server did not end its recovery")
            timeline = begun.require(session)
            names = [str(database["name"]) for database in facts.databases(session)]
        checked: dict[str, object] = {}
        for name in names:
            with translated(self._guard), connect(address, name) as session:
                checked[name] = amcheck.verify(session, self._guard)
        return {"databases": checked, TIMELINE: timeline}

    def _disarm(self, address: Address) -> None:
        """Before anybody is let in: whoever is gets what he needs then."""
        with translated(), connect(address) as session:
            foreign_roles.disarm(session, self._place.user)

    def _let_in(self, address: Address) -> None:
        """The place's own user and password get in."""
        with translated(), connect(address) as session:
            _let_in(session, self._place)

    def _confine(self, address: Address) -> list[str]:
        """The superuser becomes Holdfast's own, and what it owned the addon's owner's."""
        assert self._place.admin is not None
        self._name_superuser(address)
        address = replace(address, user=self._place.admin.user)
        with translated(self._guard), connect(address) as session:
            administrator.confine_server(session, self._place)
            administrator.hand_over_databases(session, self._place)
            names, heir = (
                administrator.databases(session),
                administrator.successor(session, self._place),
            )
        left: list[str] = []
        for name in names:
            self._guard.check()
            self._guard.moved(0)
            with translated(self._guard), connect(address, name) as session:
                left += [
                    f"{name}: {object_name}"
                    for object_name in confine_database(session, self._place, heir)
                ]
        with translated(self._guard), connect(address) as session:
            administrator.dismiss_doorman(session)
        return left

    def _name_superuser(self, address: Address) -> None:
        """In two sessions, since nobody can rename himself."""
        assert self._place.admin is not None
        with translated(), connect(address) as session:
            doorman = administrator.admit_doorman(session, self._place.admin)
        if doorman is not None:
            with translated(), connect(replace(address, user=doorman)) as session:
                administrator.rename_superuser(session, self._place.admin)

    def _silence(self, address: Address) -> None:
        """Foreign subscriptions stay silent."""
        with translated(), connect(address) as session:
            names = [str(database["name"]) for database in facts.databases(session)]
        for name in names:
            with translated(), connect(address, name) as session:
                rows = session.execute(
                    "SELECT subname FROM pg_subscription s JOIN pg_database d ON d.oid = s.subdbid"
                    " WHERE d.datname = current_database() AND s.subenabled"
                ).fetchall()
                for (subscription,) in rows:
                    quoted = Identifier(subscription)
                    session.execute(SQL("ALTER SUBSCRIPTION {} DISABLE").format(quoted))

    def _stopped(self) -> Finished:
        argv = [
            self._tools.program("pg_ctl"),
            "-D",
            str(self._directory),
            "-m",
            "fast",
            "-w",
            "stop",
        ]
        return run(Command(argv, cwd="/", user=self._user), timeout=300)

    def _checksums(self) -> str:
        argv = [self._tools.program("pg_checksums"), "--check", "-D", str(self._directory)]
        finished = run(Command(argv, cwd="/", user=self._user), timeout=24 * 3600)
        if finished.status == 0:
            return "every page's checksum is right"
        if "not enabled" in finished.stderr:
            return "the server keeps none"
        raise EvidenceMissing(f"damaged pages: {finished.stderr.strip()[-300:]}")


def confine_database(session: Session, server: LocalServer, heir: str) -> list[str]:
    """Repeatable. Returns what nobody but Holdfast owns and can use from now on."""
    typed = ownership.types_in_machine_code(session)
    if typed:
        raise RestoreDiffers(
            f"database {session.info.dbname} has types whose code is a library of nobody's:"
            f" {', '.join(typed[:5])}; that cannot run on a server whose owner is not trusted"
            " with this machine"
        )
    for statement in ownership.lockdown_statements(session):
        session.execute(statement)
    left = ownership.give_objects(session, heir)
    ownership.copy_mappings(session, heir)
    ownership.equip_database(session, server.user, administrator.database_owner(session))
    return left


def _let_in(session: Session, server: LocalServer) -> None:
    """The password crosses as a verifier only, so no log can hold it.

    On a place that is not ours no role is made and none gets rights: who may do what was the
    owner's decision. Its password may have changed since; without the present one nobody here
    could see whether the restored server answers.
    """
    user, secret = server.user.encode(), server.password.reveal().encode()
    verifier = session.pgconn.encrypt_password(secret, user, b"scram-sha-256").decode()
    exists = session.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [server.user]).fetchone()
    if not exists and not server.ours:
        raise RestoreDiffers(
            f"the snapshot has no role {server.user!r}, as which Holdfast connects to this addon"
        )
    verb = "ALTER" if exists else "CREATE"
    rights = "LOGIN SUPERUSER" if server.ours else ""
    if server.ours or secret:
        session.execute(
            SQL("{} ROLE {} {} PASSWORD {}").format(
                SQL(verb), Identifier(server.user), SQL(rights), Literal(verifier)
            )
        )
