"""One dump in progress: the accounts, and one archive with all databases.

Members of replica sets from 5.0 on are read at one cluster time. Collections are read by UUID: by
name one that was dropped or renamed meanwhile would read as empty, without an error.
"""

from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from uuid import UUID

from fastcrc.crc64 import xz

from holdfast.contracts.engine import (
    WARNINGS,
    Address,
    Attempt,
    Inventory,
    Member,
    Scope,
)
from holdfast.domain.errors import AddonRefused, EvidenceMissing, Failure, SourceChanged
from holdfast.engines.mongodb.client.connection import Connection, WireError, connect
from holdfast.engines.mongodb.client.server_errors import (
    UNAUTHORIZED,
    error_code,
    failure,
    translated,
)
from holdfast.engines.mongodb.dump import archive, sessions, warnings
from holdfast.engines.mongodb.dump.archive import SEPARATOR, VIEW, Namespace
from holdfast.engines.mongodb.dump.batches import batches
from holdfast.engines.mongodb.dump.instant import (
    TOO_OLD,
    WINDOW,
    History,
    Instant,
    has_snapshots,
    now,
)
from holdfast.engines.mongodb.dump.inventory import databases, definitions, merge
from holdfast.engines.mongodb.dump.metadata import Definition
from holdfast.engines.mongodb.dump.source import (
    CHANGED,
    ArchiveSource,
    BackgroundCount,
    Tally,
    content_sum,
)
from holdfast.kit.clock import SystemClock
from holdfast.kit.processes.guard import Guard
from holdfast.kit.processes.patience import patient

ACCOUNTS = Member("accounts.archive", archive.ACCOUNTS, None)
DATABASES = Member("databases.archive", archive.DATABASES, None)
ACCOUNT_COLLECTIONS = ("system.users", "system.roles", "system.version")
"""In the order that the stock tool needs them."""

_LISTINGS = 5
"""Collections must stay the same while they are listed twice; tried this often."""
_AT_ONCE = "all databases at one cluster time"
_MAX_NAMED = 5


class MongoDump:
    """The DumpSession of one attempt."""

    def __init__(
        self, connection: Connection, scope: Scope, attempt: Attempt, guard: Guard
    ) -> None:
        self._connection = connection
        self._scope = scope
        self._attempt = attempt
        self._guard = guard
        self._history: History | None = None
        self._version = ""
        self._instant = Instant(None)
        self._promises: Mapping[str, object] = {}
        self._definitions: list[Definition] = []
        self._accounts: list[Definition] = []
        self._source: ArchiveSource | None = None
        self.members: Sequence[Member] = ()
        self.facts: Mapping[str, object] = {}

    def look(self) -> None:
        """Decides the instant, lists what there is then, and fills in `members` and `facts`."""
        connection, attempt = self._connection, self._attempt
        snapshots = has_snapshots(connection)
        if snapshots:
            self._history = History(connection, attempt, SystemClock())
        self.choose_instant(snapshots=snapshots)
        self._version = str(connection.command("admin", {"buildInfo": 1})["version"])
        beside = [item for item in self._definitions if snapshots and not self._at_instant(item)]
        for item in beside:
            attempt.say(
                f"capped collection {item.database}.{item.name} has no history: it is read beside"
                " the instant of the others"
            )
        listed = warnings.of_dump(
            self._version,
            snapshots=snapshots,
            is_set="setName" in connection.command("admin", {"hello": 1}),
            accounts=bool(self._accounts) or not self._scope.users,
        )
        warned = list(listed)
        for entry in warned:
            attempt.say(f"warning: {entry['object']}: {entry['text']}")
        time = self._instant.time
        self._promises = {
            "consistency": _AT_ONCE if snapshots else warnings.APART,
            "instant": None if time is None else {"time": time.time, "increment": time.inc},
            "capped": [f"{item.database}.{item.name}" for item in beside],
        }
        self.members = (*([ACCOUNTS] if self._accounts else []), DATABASES)
        self.facts = {
            "server": {
                "version": self._version,
                "flavour": "MongoDB",
                "compatibility": compatibility(connection),
            },
            **self._promises,
            "accounts": bool(self._accounts),
            "databases": self.describe_databases(),
            WARNINGS: warned,
        }

    def choose_instant(self, *, snapshots: bool) -> None:
        """Lists before and after the instant is chosen, until both agree: listings know no past."""
        before, names = self._definitions_now(), list[str]()
        for _ in range(_LISTINGS):
            self._guard.check()
            self._instant = now(self._connection, self._guard) if snapshots else Instant(None)
            after = self._definitions_now()
            if before == after:
                self._definitions = after
                self._accounts = self.readable_accounts() if self._scope.users else []
                return
            names = differing_names(before, after)
            before = after
        raise SourceChanged(f"collections change while they are listed: {', '.join(names)}")

    def _definitions_now(self) -> list[Definition]:
        one = self._scope.database
        names = [name for name in databases(self._connection) if one in (None, name)]
        listed = [item for name in names for item in definitions(self._connection, name)]
        if one is not None and not listed:
            raise AddonRefused(f"the server has no database {one} to dump")
        return listed

    def readable_accounts(self) -> list[Definition]:
        """Definitions of the collections with users and roles; none if we may not read them."""
        try:
            for name in ACCOUNT_COLLECTIONS:
                self._connection.command("admin", {"find": name, "limit": 1})
            return definitions(self._connection, "admin", ACCOUNT_COLLECTIONS)
        except WireError as error:
            if error_code(error) != UNAUTHORIZED:
                raise
            return []

    def describe_databases(self) -> list[Mapping[str, object]]:
        """Names and sizes on disk, which the role `backup` may read."""
        names = {item.database for item in self._definitions}
        listed = self._connection.command("admin", {"listDatabases": 1})["databases"]
        return [
            {"name": entry["name"], "size": int(entry["sizeOnDisk"])}
            for entry in listed
            if entry["name"] in names
        ]

    def _at_instant(self, item: Definition) -> bool:
        return self._instant.time is not None and not item.options.get("capped")

    def open(self, member: Member) -> ArchiveSource:
        chosen = self._accounts if member == ACCOUNTS else self._definitions
        tally = Tally()
        counter = BackgroundCount(
            self._connection,
            [item for item in chosen if item.type != VIEW and self._at_instant(item)],
            self._instant,
        )
        source = ArchiveSource(
            self.write(chosen, tally), tally, counter, self.judge, self._promises
        )
        if member == DATABASES:
            self._source = source
        return source

    def write(self, chosen: Sequence[Definition], tally: Tally) -> Iterator[bytes]:
        yield archive.write_prelude(self._version, [item.meta() for item in chosen])
        with sessions.refreshed(self._connection) as session:
            for item in chosen:
                crc = 0
                tally.add(item.data, 0, 0)
                if item.type != VIEW:
                    concern = self._instant.read_concern if self._at_instant(item) else None
                    target = UUID(item.uuid) if item.uuid else item.data[1]
                    with self._reading(item):
                        for documents in batches(
                            self._connection, session, item.database, target, concern
                        ):
                            self._guard.check()
                            crc = xz(documents, crc)
                            tally.add(item.data, *content_sum(documents))
                            yield archive.write_header(item.data)
                            yield documents
                            yield SEPARATOR
                yield archive.write_eof(item.data, crc)

    @contextmanager
    def _reading(self, item: Definition) -> Generator[None]:
        """Says what errors of reading a collection mean."""
        try:
            yield
        except WireError as error:
            self._guard.check()
            raise self.explain(error, item) from error

    def explain(self, error: WireError, item: Definition) -> Failure:
        name = f"{item.database}.{item.name}"
        if error_code(error) in CHANGED:
            return SourceChanged(
                f"collection {name} was dropped, renamed or replaced while the dump ran"
            )
        if error_code(error) == TOO_OLD:
            window = self._history.window if self._history else 0
            return EvidenceMissing(
                f"collection {name} could not be read at the time of the dump: the server keeps"
                f" {window} seconds of the past. Grant the role hostManager on admin to our user,"
                f" so that it may keep more while a dump runs, or raise {WINDOW} there"
            )
        return failure(error, self._connection.address)

    def judge(self, counted: Mapping[Namespace, int], tally: Tally) -> None:
        """Compares what was read with what was counted at the same instant."""
        differ = [
            f"{'.'.join(namespace)}: {documents} documents counted,"
            f" {tally.documents[namespace]} read"
            for namespace, documents in counted.items()
            if tally.documents[namespace] != documents
        ]
        if not differ:
            return
        # By name a collection that was dropped or renamed after it was read counts as empty.
        present = {item.uuid for item in self._definitions_now()}
        gone = [item for item in self._definitions if item.uuid and item.uuid not in present]
        kind = SourceChanged if gone else EvidenceMissing
        raise kind("; ".join(differ[:_MAX_NAMED]))

    def inventory(self) -> Inventory:
        """What was read. EvidenceMissing when the databases were not dumped to their end."""
        if self._source is None or not self._source.is_finished:
            raise EvidenceMissing("the databases were not dumped to their end")
        documents = self._source.tally.documents
        read = [(item, documents[item.data]) for item in self._definitions if item.type != VIEW]
        return merge(read, [item for item in self._definitions if item.type == VIEW])

    def is_working(self) -> bool:
        """Whether the server is busy with a command of this attempt."""
        application = sessions.application(self._attempt)
        with connect(self._connection.address) as connection:
            return any("opid" in entry for entry in sessions.running(connection, application))

    def close(self) -> None:
        if self._source is not None:
            self._source.close()
        if self._history is not None:
            self._history.close()


def compatibility(connection: Connection) -> str:
    """The feature compatibility version, which decides what a server can hold; empty if hidden."""
    try:
        reply = connection.command("admin", {"getParameter": 1, "featureCompatibilityVersion": 1})
    except WireError as error:
        if error_code(error) != UNAUTHORIZED:
            raise
        return ""
    return str(reply["featureCompatibilityVersion"]["version"])


def differing_names(before: Sequence[Definition], after: Sequence[Definition]) -> list[str]:
    names = {
        f"{one.database}.{one.name}"
        for one in (*before, *after)
        if (one in before) != (one in after)
    }
    return sorted(names)[:_MAX_NAMED]


@contextmanager
def dump(address: Address, scope: Scope, attempt: Attempt, guard: Guard) -> Generator[MongoDump]:
    """Begins a dump; commands of older attempts of the operation are ended first."""
    name = sessions.application(attempt)
    with connect(address, answer_seconds=None, name=name) as connection:
        release = guard.adopt(connection.cut)
        session = MongoDump(connection, scope, attempt, guard)
        try:
            with translated(address, guard):
                sessions.end_older(connection, attempt)
                session.look()
            with patient(guard, session.is_working):
                yield session
        finally:
            session.close()
            release()
