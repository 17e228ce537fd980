"""Loads a dump into collections beside the server's own, in the same databases.

A rename inside a database takes no time, whatever the size; into another one it would copy. What
cannot be renamed is staged too: time series as collections of their buckets, views as definitions.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace

import bson

from holdfast.contracts.engine import Address, Attempt, Dump, Fetch, Inventory, Member, Skipped
from holdfast.domain.errors import EvidenceMissing, RestoreDiffers
from holdfast.domain.units import show_bytes
from holdfast.engines import staging_names
from holdfast.engines.mongodb.client.connection import Connection, Document, WireError, connect
from holdfast.engines.mongodb.client.server_errors import error_code, error_text, translated
from holdfast.engines.mongodb.dump import archive, metadata, sessions
from holdfast.engines.mongodb.dump.archive import (
    COLLECTION,
    TIME_SERIES,
    VIEW,
    Meta,
    Namespace,
    Reader,
    Run,
)
from holdfast.engines.mongodb.dump.inventory import SYSTEM_CODE, count, merge
from holdfast.engines.mongodb.dump.metadata import Definition
from holdfast.engines.mongodb.restore import accounts
from holdfast.engines.mongodb.restore.accounts import KeptAccounts
from holdfast.engines.mongodb.restore.ledger import (
    DONE,
    STAGED,
    Ledger,
    Placement,
    collections_of_prefix,
    drop,
    uuids,
)
from holdfast.engines.mongodb.restore.loading import Loader, create_indexes, harmless_expiry
from holdfast.engines.mongodb.restore.sealed import HOME
from holdfast.kit.clock import SystemClock
from holdfast.kit.processes.guard import Guard
from holdfast.kit.processes.patience import patient

_MAX_REPEAT_MS = 24 * 3600 * 1000
"""A swap may be repeated by a worker that does not know that it was done, for as long as this."""
_MAX_OPEN_LOADERS = 4  # as many collections as the stock tool dumps at a time

Contents = tuple[Sequence[Meta], Iterator[Run]]
"""What an archive announces, and its documents."""


class Staging:
    """One attempt to stage one dump."""

    def __init__(self, address: Address, dump: Dump, attempt: Attempt, guard: Guard) -> None:
        self._address = address
        self._dump = dump
        self._attempt = attempt
        self._guard = guard
        self._skipped: list[Skipped] = []
        self._repeats = Counter[str]()

    def run(self, fetch: Fetch) -> Inventory:
        """Loads, tries and counts the dump, and records all that the swap needs."""
        name = sessions.application(self._attempt)
        with connect(self._address, answer_seconds=None, name=name) as connection:
            release = self._guard.adopt(connection.cut)
            try:
                with (
                    translated(self._address, self._guard),
                    patient(self._guard, lambda: is_working(self._address, name)),
                ):
                    return self.stage(connection, fetch)
            finally:
                release()

    def stage(self, connection: Connection, fetch: Fetch) -> Inventory:
        take_over(connection, self._attempt)
        drop_staged(connection, self._attempt)
        drop_done_ledgers(connection, self._attempt)
        self.warn_of_small_oplog(connection)
        plan: list[Placement] = []
        for member in self._dump.members:
            if member.format == archive.ACCOUNTS:
                self.stage_accounts(connection, fetch(member.name))
            else:
                plan += self.load_member(connection, member, fetch, len(plan))
        plan = [self.with_indexes(connection, placement) for placement in plan]
        counted = [
            (placement.definition, self.count_read(connection, placement))
            for placement in plan
            if placement.definition.type != VIEW
        ]
        views = [one.definition for one in plan if one.definition.type == VIEW]
        ledger = Ledger(
            connection, staging_names.ledger_database(self._attempt), self._attempt.sealer
        )
        ledger.write(
            plan, phase=STAGED, databases=sorted({placement.database for placement in plan})
        )
        return replace(merge(counted, views), skipped=tuple(self._skipped))

    def count_read(self, connection: Connection, placement: Placement) -> int:
        """The documents of the collection beside, and those that others of the dump replaced."""
        repeats = self._repeats[placement.beside]
        if repeats:
            self._attempt.say(
                f"{placement.database}.{placement.name}: documents whose _id came in the dump"
                f" before: {repeats}; of each the last one stays"
            )
        return count(connection, (placement.database, placement.beside)) + repeats

    def contents(self, member: Member, fetch: Fetch) -> Contents:
        reader = Reader(fetch(member.name))
        return reader.metas, reader.runs()

    def admit(self, definition: Definition) -> Definition | None:
        """The definition as it may be created; None leaves it out, with its documents."""
        return definition

    def stage_accounts(self, connection: Connection, plain: Iterator[bytes]) -> None:
        """Keeps users and roles beside those of the server, and names those that will change."""
        staged = KeptAccounts(
            connection, staging_names.stage_prefix(self._attempt), self._attempt.sealer
        )
        for run in Reader(plain).runs():
            if run.namespace[0] == HOME:
                staged.keep(run.namespace[1], run.documents())
        say = self._attempt.say
        accounts.announce(accounts.plan(connection, self._address, staged.accounts(say), say), say)

    def load_member(
        self, connection: Connection, member: Member, fetch: Fetch, first: int
    ) -> list[Placement]:
        metas, runs = self.contents(member, fetch)
        plan: dict[Namespace, Placement] = {}
        left_out: set[Namespace] = set()
        for meta in metas:
            definition = self.admit(metadata.parse(meta))
            if definition is None:
                left_out.add(meta.data)
                continue
            placement = self.create_beside(connection, definition, first + len(plan))
            if placement is not None:
                plan[meta.data] = placement
        with ExitStack() as resources:
            loaders: dict[Namespace, Loader] = {}
            for run in runs:
                self._guard.check()
                if run.namespace in left_out:
                    continue
                if run.namespace not in plan:
                    raise EvidenceMissing(
                        f"documents of {'.'.join(run.namespace)} come unannounced"
                    )
                if run.namespace not in loaders:
                    if len(loaders) == _MAX_OPEN_LOADERS:
                        resources.close()
                        loaders.clear()
                    loaders[run.namespace] = resources.enter_context(
                        self.loader_of(connection, plan[run.namespace])
                    )
                loaders[run.namespace].add(run.documents())
        return list(plan.values())

    def loader_of(self, connection: Connection, placement: Placement) -> Loader:
        """A loader of the collection beside; capped ones keep their order.

        What was not read at one instant may hold a document twice; a capped one, which gives
        nothing up but by age, may not.
        """
        is_plain = placement.definition.type == COLLECTION
        is_capped = is_plain and bool(placement.definition.options.get("capped"))
        may_repeat = not is_capped and not self._dump.facts.get("instant")
        return Loader(
            connection,
            placement.database,
            placement.beside,
            ordered=is_capped,
            name=placement.name,
            repeats=self._repeats if may_repeat else None,
        )

    def create_beside(
        self, connection: Connection, definition: Definition, number: int
    ) -> Placement | None:
        """Creates the collection beside; None for a view that the server refuses."""
        beside = f"{staging_names.stage_prefix(self._attempt)}{number}"
        database = definition.database
        plain = definition
        if definition.type == TIME_SERIES or definition.name == SYSTEM_CODE:
            plain = Definition(database, definition.name)
        try:
            connection.write(database, metadata.create_command(beside, plain))
        except WireError as error:
            if not error_code(error):
                raise
            if definition.type != VIEW:
                raise RestoreDiffers(
                    f"the server does not create {database}.{definition.name}: {error_text(error)}"
                ) from error
            self._skip(definition, "views", definition.name, error_text(error))
            return None
        if definition.type == VIEW:
            drop(connection, database, beside)
            return Placement(definition, "", "")
        return Placement(definition, beside, uuids(connection, database, beside)[beside])

    def with_indexes(self, connection: Connection, placement: Placement) -> Placement:
        """Builds the indexes beside. Those that the server refuses leave the definition.

        Those of a time series are tried on an empty one, because buckets cannot have them.
        """
        definition, target = placement.definition, placement.beside
        if definition.type == VIEW or definition.name == SYSTEM_CODE:
            return placement
        self._guard.check()
        is_series = definition.type == TIME_SERIES
        if is_series:
            target = f"{staging_names.stage_prefix(self._attempt)}trial"
            drop(connection, definition.database, target)
            connection.write(definition.database, metadata.create_command(target, definition))
        specs = metadata.index_specs(definition, harmless_expiry(connection))
        refused = create_indexes(connection, definition.database, target, specs)
        definition, refused = self.modernise(connection, definition, target, refused)
        if is_series:
            drop(connection, definition.database, target)
        for spec, reason in refused:
            text = reason.replace(target, definition.name)
            self._skip(definition, "indexes", f"{definition.name}: {spec['name']}", text)
        lost = {spec["name"] for spec, _ in refused}
        indexes = [index for index in definition.indexes if index.get("name") not in lost]
        return replace(placement, definition=replace(definition, indexes=indexes))

    def modernise(
        self,
        connection: Connection,
        definition: Definition,
        target: str,
        refused: Sequence[tuple[Document, str]],
    ) -> tuple[Definition, Sequence[tuple[Document, str]]]:
        """Makes refused indexes in the form of today; returns the definition with these, and what
        is refused all the same."""
        indexes = {str(index.get("name")): index for index in definition.indexes}
        remaining: list[tuple[Document, str]] = []
        for spec, reason in refused:
            name = str(spec["name"])
            modern = replace(definition, indexes=[metadata.modernised(indexes[name])])
            specs = metadata.index_specs(modern, harmless_expiry(connection))
            # Compared as bytes: to Python, true is 1.
            is_same = bson.encode(spec) == bson.encode(specs[0])
            if is_same or create_indexes(connection, definition.database, target, specs):
                remaining.append((spec, reason))
                continue
            indexes[name] = modern.indexes[0]
            refusal = reason.replace(target, definition.name)
            self._attempt.say(
                f"index {name} of {definition.database}.{definition.name} is made in the form of"
                f" today: servers no longer take its old one: {refusal}"
            )
        return replace(definition, indexes=list(indexes.values())), remaining

    def _skip(self, definition: Definition, kind: str, name: str, reason: str) -> None:
        self._skipped.append(Skipped(definition.database, kind, name, reason))
        self._attempt.say(f"not made: {definition.database}: {kind}: {name}: {reason}")

    def warn_of_small_oplog(self, connection: Connection) -> None:
        with suppress(WireError):
            stats = connection.command("local", {"collStats": "oplog.rs"})
            limit = int(stats.get("maxSize", self._dump.size))  # standalones have none
            if limit < self._dump.size:
                self._attempt.say(
                    f"the oplog holds {show_bytes(limit)}, less than the"
                    f" {show_bytes(self._dump.size)} that are loaded: members of the set that"
                    " lag behind may have to be synchronised from the start"
                )


def is_working(address: Address, application: str) -> bool:
    """Whether the server is busy with a command of connections of this name."""
    with connect(address) as connection:
        return any("opid" in entry for entry in sessions.running(connection, application))


def take_over(connection: Connection, attempt: Attempt) -> None:
    """Ends commands of older attempts, and sees that this one may still act."""
    attempt.confirm()
    sessions.end_older(connection, attempt)
    attempt.confirm()


def drop_staged(connection: Connection, attempt: Attempt) -> bool:
    """Drops what attempts of this operation up to this one staged; says whether there was any.

    Ledgers go last: they tell what a swap that was cut has to do.
    """
    staged = [
        (database, name)
        for database, name in collections_of_prefix(
            connection, staging_names.stages_prefix(attempt.op)
        )
        if staging_names.is_older_stage(name, attempt)
    ]
    for database, name in sorted(staged, key=lambda item: item[1].endswith(staging_names.LEDGER)):
        drop(connection, database, name)
    return bool(staged)


def drop_done_ledgers(connection: Connection, attempt: Attempt) -> None:
    """Drops ledgers of restores that ended so long ago that nothing repeats their swaps."""
    for name in uuids(connection, HOME):
        if name.startswith(staging_names.STAGE) and name.endswith(staging_names.LEDGER):
            with suppress(RestoreDiffers):  # of another installation
                state = Ledger(connection, name, attempt.sealer).state
                age = SystemClock().now() - int(state.get("doneAt", 0))
                if state.get("phase") == DONE and age > _MAX_REPEAT_MS:
                    drop(connection, HOME, name)
