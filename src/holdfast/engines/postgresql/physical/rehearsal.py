"""Boots a physical copy in private, verifies it, and prepares it for its final directory.

A copied server brings its settings, its archiving and its subscriptions along. Here it listens on
a private socket only, archives nothing, replicates nothing and loads no foreign library: the
command line overrides its own files. It begins a new timeline: see `timelines`.
"""

import os
import tempfile
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from psycopg.sql import SQL, Identifier, Literal

from holdfast.contracts.archive import REPLAY, SLOT, Replay
from holdfast.contracts.engine import Address
from holdfast.contracts.local_servers import CHECKED_AFTERWARDS, LocalServer
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
from holdfast.engines.postgresql.physical import (
    amcheck,
    data_directory,
    following,
    foreign_roles,
    wal_replay,
)
from holdfast.engines.postgresql.physical.timelines import TIMELINE, NewTimeline
from holdfast.kit.processes.guard import Guard
from holdfast.kit.processes.hosting import cell_of
from holdfast.kit.processes.process import (
    DISCARD,
    Child,
    Command,
    ids_of,
    require_success,
    run,
)
from holdfast.kit.seal import Secret

_PRIVATE: Mapping[str, str] = {
    "listen_addresses": "",
    "archive_mode": "on",  # WAL written here waits for the server's own archive_command
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
_PORT = 5432  # part of the name of a socket in a private directory
_SHOWN_LOG_LINES = 5
_ARCHIVE_LIBRARY_SINCE = 15
_EVENT_TRIGGERS_SETTING_SINCE = 17
"""Since this major logins fire event triggers, and this setting disables them."""


class Rehearsal:
    """One private boot of `directory`, with the programs of `server`."""

    def __init__(self, tools_dir: Path, directory: Path, server: LocalServer, guard: Guard) -> None:
        self._tools: ToolSet = tools.server(tools_dir, server.version)
        self._directory = directory
        self._server = server
        self._user = owner_of(server)
        self._guard = guard

    def run(self, copy: facts.Facts, *, foreign: bool = False) -> Mapping[str, object]:
        """Verifies the snapshot with the facts `copy`. Returns facts about what was proven.

        RestoreDiffers or EvidenceMissing when it is not sound. A `foreign` one's roles are
        disarmed.
        """
        begun = NewTimeline(self._tools, self._directory.parent, self._server, copy)
        with tempfile.TemporaryDirectory(prefix="holdfast-") as private:
            home = Path(private)
            with self._booted(home, begun) as child:
                address = Address(private, _PORT, copy["superuser"], Secret(""), "postgres")
                self._await(address, child)
                proven = self._require_promoted(address, begun)
                if CHECKED_AFTERWARDS not in copy:
                    proven["databases"] = self._check_data(address)
                replay: Replay | None = copy.get(REPLAY)
                if replay is not None:
                    timeline = int(str(proven[TIMELINE]))
                    forked = wal_replay.require_stopped(self._directory, timeline, replay.stop)
                    proven["position"] = following.show_lsn(forked)
                if SLOT in copy:
                    with translated(), connect(address) as session:
                        following.create_slot(session, str(copy[SLOT]))
                self._disable_subscriptions(address)
                if foreign:  # before any role is let in, for that role gets its rights afterwards
                    with translated(), connect(address) as session:
                        foreign_roles.disarm(session, self._server.user)
                if self._server.admin is None:
                    with translated(), connect(address) as session:
                        _let_in(session, self._server)
                else:
                    proven["handedOver"] = self._confine(address)
        return {**proven, "checksums": self._checksums()}

    def settle(self, names: Sequence[str]) -> list[str]:
        """Makes a data directory whose superuser was the addon's owner one of ours.

        `names` its superuser may have. Returns objects that stay with our superuser, unusable.
        """
        with (
            tempfile.TemporaryDirectory(prefix="holdfast-") as private,
            self._booted(Path(private)) as child,
        ):
            addresses = [Address(private, _PORT, name, Secret(""), "postgres") for name in names]
            self._await(addresses[0], child, addresses[1:])
            for address in addresses:
                with suppress(AddonRefused), connect(address) as session:
                    superuser = administrator.bootstrap(session)
                    break
            else:
                raise RestoreDiffers("none of its known users is in the data directory")
            return self._confine(replace(address, user=superuser))

    @contextmanager
    def _booted(self, home: Path, begun: NewTimeline | None = None) -> Generator[Child]:
        child = Child(self._command(home, begun), stdout=DISCARD)
        release = self._guard.adopt(child.kill)
        try:
            yield child
            words = ["-D", str(self._directory), "-m", "fast", "-w", "stop"]
            stop = Command([self._tools.program("pg_ctl"), *words], cwd="/", user=self._user)
            require_success(run(stop, timeout=300))
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
        cell = cell_of(
            self._server.cell, self._tools.directory.parent, self._directory.parent, home
        )
        return Command(
            [*argv, *words],
            env=self._tools.environment,
            cwd=str(self._directory),
            user=user,
            cell=cell,
        )

    def _await(self, address: Address, child: Child, others: Sequence[Address] = ()) -> None:
        """Waits until recovery has reached consistency and ended. `others` may get in instead."""
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

    def _require_promoted(self, address: Address, begun: NewTimeline) -> dict[str, object]:
        """The timeline that the server writes now."""
        with translated(), connect(address) as session:
            if facts.server(session)["standby"]:
                raise RestoreDiffers("the snapshot's server did not end its recovery")
            return {TIMELINE: begun.require(session)}

    def _check_data(self, address: Address) -> dict[str, object]:
        with translated(), connect(address) as session:
            names = [str(database["name"]) for database in facts.databases(session)]
        checked: dict[str, object] = {}
        for name in names:
            with translated(self._guard), connect(address, name) as session:
                checked[name] = amcheck.verify(session, self._guard)
        return checked

    def _confine(self, address: Address) -> list[str]:
        """Makes the superuser Holdfast's own, and gives what it owned to the addon's owner."""
        assert self._server.admin is not None
        # In two sessions, since no role can rename itself.
        with translated(), connect(address) as session:
            doorman = administrator.admit_doorman(session, self._server.admin)
        if doorman is not None:
            with translated(), connect(replace(address, user=doorman)) as session:
                administrator.rename_superuser(session, self._server.admin)
        address = replace(address, user=self._server.admin.user)
        with translated(self._guard), connect(address) as session:
            administrator.confine_server(session, self._server)
            administrator.hand_over_databases(session, self._server)
            names = administrator.databases(session)
            owner = administrator.successor(session, self._server)
        left: list[str] = []
        for name in names:
            self._guard.check()
            self._guard.moved(0)
            with translated(self._guard), connect(address, name) as session:
                left += [
                    f"{name}: {object_name}"
                    for object_name in confine_database(session, self._server, owner)
                ]
        with translated(self._guard), connect(address) as session:
            administrator.dismiss_doorman(session)
        return left

    def _disable_subscriptions(self, address: Address) -> None:
        """Disables the subscriptions of the copied server."""
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

    def _checksums(self) -> str:
        argv = [self._tools.program("pg_checksums"), "--check", "-D", str(self._directory)]
        finished = run(Command(argv, cwd="/", user=self._user), timeout=24 * 3600)
        if finished.status == 0:
            return "every page's checksum is right"
        if "not enabled" in finished.stderr:
            return "the server keeps none"
        raise EvidenceMissing(f"damaged pages: {finished.stderr.strip()[-300:]}")


def confine_database(session: Session, server: LocalServer, owner: str) -> list[str]:
    """Gives a database to its owner. Repeatable.

    Returns objects that only Holdfast owns and can use from now on.
    """
    typed = ownership.types_in_machine_code(session)
    if typed:
        raise RestoreDiffers(
            f"database {session.info.dbname} has types whose code is a library of no extension:"
            f" {', '.join(typed[:5])}; that cannot run on a server whose owner is not trusted"
            " with this machine"
        )
    for statement in ownership.lockdown_statements(session):
        session.execute(statement)
    left = ownership.give_objects(session, owner)
    ownership.copy_mappings(session, owner)
    ownership.equip_database(session, server.user, administrator.database_owner(session))
    return left


def _let_in(session: Session, server: LocalServer) -> None:
    """Lets the server's own user in, with its present password.

    The password crosses as a verifier only, so no log can hold it. On a server that is not ours no
    role is made and none gets rights: that is its owner's decision. Its password may have changed
    since the snapshot; without the present one we could not see whether the restored server
    answers.
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
