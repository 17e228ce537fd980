"""Puts staged collections in place of the old, and old ones that were set aside back in place.

Nothing of the target is touched before the ledger says `moving`; after that there is only one
direction, and each step can be repeated. A collection changes places in one rename, but not all of
them at once: applications may see old and new ones side by side until the last is done.
"""

from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace

from holdfast.contracts.engine import Address, Attempt
from holdfast.domain.errors import Failure, RestoreDiffers
from holdfast.engines import staging_names
from holdfast.engines.mongodb.client.connection import (
    LONG_ANSWER_SECONDS,
    Connection,
    connect,
    decoded,
)
from holdfast.engines.mongodb.client.server_errors import translated
from holdfast.engines.mongodb.dump import sessions
from holdfast.engines.mongodb.dump.archive import VIEW, Run
from holdfast.engines.mongodb.dump.batches import batches, offsets
from holdfast.engines.mongodb.dump.inventory import databases, definitions
from holdfast.engines.mongodb.restore import accounts
from holdfast.engines.mongodb.restore.accounts import KeptAccounts
from holdfast.engines.mongodb.restore.ledger import (
    DONE,
    MOVED,
    MOVING,
    STAGED,
    Ledger,
    Placement,
    collections_of_prefix,
    drop,
    uuids,
)
from holdfast.engines.mongodb.restore.moving import Mover, is_renamed
from holdfast.engines.mongodb.restore.sealed import HOME
from holdfast.engines.mongodb.restore.staging import drop_staged, take_over
from holdfast.kit.clock import SystemClock
from holdfast.kit.processes.guard import Guard

_MAX_NAMED = 5


def swap(address: Address, attempt: Attempt, guard: Guard) -> None:
    """Moves the staged data in place and completes it. Repeatable: the ledger stays and says that
    all is done, until a restore a day later, an undo, or the end of the old data."""
    with _exclusive(address, attempt, guard) as connection:
        ledger = _staged_ledger(connection, attempt)
        phase = ledger.phase
        if not phase:
            raise RestoreDiffers("nothing is staged for this restore on the server")
        if phase == DONE:
            attempt.say("the swap was done before")
            name_replaced(connection, ledger.plan(), attempt)
            clear_staged(connection, ledger, attempt)
            return
        if phase == STAGED:
            begin(connection, address, ledger, attempt)
        complete(connection, address, ledger, attempt, guard)


def _staged_ledger(connection: Connection, attempt: Attempt) -> Ledger:
    return Ledger(connection, staging_names.ledger_database(attempt), attempt.sealer)


def _old_ledger(connection: Connection, op: str, attempt: Attempt) -> Ledger:
    """The ledger of what restore `op` set aside."""
    return Ledger(connection, staging_names.old_ledger_database(op), attempt.sealer)


@contextmanager
def _exclusive(
    address: Address, attempt: Attempt, guard: Guard | None = None
) -> Generator[Connection]:
    """A connection of the only attempt that may act. Without a guard commands have a time limit."""
    name, limit = sessions.application(attempt), None if guard else LONG_ANSWER_SECONDS
    with (
        connect(address, answer_seconds=limit, name=name) as connection,
        translated(address, guard),
    ):
        release = guard.adopt(connection.cut) if guard else None
        try:
            take_over(connection, attempt)
            yield connection
        finally:
            if release is not None:
                release()


def begin(connection: Connection, address: Address, ledger: Ledger, attempt: Attempt) -> None:
    """Checks that everything is staged and records what leaves; then the ledger says `moving`."""
    plan, state = ledger.plan(), ledger.state
    present = {name: uuids(connection, name) for name in {one.database for one in plan}}
    missing = [
        f"{one.database}.{one.name}"
        for one in plan
        if one.uuid and present[one.database].get(one.beside) != one.uuid
    ]
    if missing:
        raise RestoreDiffers(f"nothing is staged of {', '.join(missing[:_MAX_NAMED])}")
    affected = set(state["databases"])
    if not attempt.keep_others:
        affected |= set(databases(connection))
    _drop_prefix(connection, staging_names.old_prefix(attempt.op))
    new_accounts = set_accounts_aside(connection, address, attempt)
    _old_ledger(connection, attempt.op, attempt).write(
        _leaving(connection, affected, staging_names.old_prefix(attempt.op)),
        phase="",
        databases=sorted(affected),
        newAccounts=new_accounts,
    )
    ledger.change(phase=MOVING, keepOld=attempt.keep_old)


def _leaving(connection: Connection, affected: set[str], prefix: str) -> list[Placement]:
    """Everything in these databases, with names beside at which it can be set aside."""
    present = [item for name in sorted(affected) for item in definitions(connection, name)]
    return [
        Placement(item, "", "")
        if item.type == VIEW
        else Placement(item, f"{prefix}{number}", item.uuid)
        for number, item in enumerate(present)
    ]


def set_accounts_aside(
    connection: Connection, address: Address, attempt: Attempt
) -> Mapping[str, Sequence[Sequence[str]]]:
    """Keeps the users and roles that the restore will change, for an undo; returns those that it
    will create. RestoreDiffers if what is staged of them was changed."""
    staged = KeptAccounts(connection, staging_names.stage_prefix(attempt), attempt.sealer)
    planned = accounts.plan(connection, address, staged.accounts(attempt.say), attempt.say)
    if not attempt.keep_old:
        return {}
    old = KeptAccounts(connection, staging_names.old_prefix(attempt.op), attempt.sealer)
    changed = {"system.users": planned.changed.users, "system.roles": planned.changed.roles}
    with connection.logical_session() as session:
        for kind, documents in changed.items():
            names = {str(document["_id"]) for document in documents}
            old.keep(
                kind,
                (
                    document
                    for batch in batches(connection, session, HOME, kind)
                    for document in Run((HOME, kind), batch, offsets(batch)).documents()
                    if str(decoded(document)["_id"]) in names
                ),
            )
    return planned.created


def complete(
    connection: Connection,
    address: Address,
    ledger: Ledger,
    attempt: Attempt,
    guard: Guard | None,
) -> None:
    """All that a swap does once the ledger says `moving`."""
    plan = ledger.plan()
    keep = bool(ledger.state.get("keepOld")) and attempt.keep_old
    old = _old_ledger(connection, attempt.op, attempt)
    leaving = old.plan()
    Mover(connection, ledger, attempt, guard, keep=keep).run(plan, leaving)
    names = sorted({placement.database for placement in plan})
    attempt.say(f"in place: {', '.join(names) or 'nothing, as in the backup'}")
    for name in sorted({one.database for one in leaving} - set(names)):
        attempt.say(f"database {name} is not in the backup and is dropped")
    staged = KeptAccounts(connection, staging_names.stage_prefix(attempt), attempt.sealer)
    planned = accounts.plan(connection, address, staged.accounts(attempt.say), attempt.say)
    accounts.apply(connection, planned, attempt.say)
    if keep:
        old.change(phase=STAGED)
    else:
        _drop_prefix(connection, staging_names.old_prefix(attempt.op))
    ledger.change(phase=DONE, doneAt=SystemClock().now())
    clear_staged(connection, ledger, attempt)


def clear_staged(connection: Connection, ledger: Ledger, attempt: Attempt) -> None:
    """Drops what this and older attempts staged, but the ledger."""
    for database, name in collections_of_prefix(
        connection, staging_names.stages_prefix(attempt.op)
    ):
        if name != ledger.name and staging_names.is_older_stage(name, attempt):
            drop(connection, database, name)


def name_replaced(connection: Connection, plan: Sequence[Placement], attempt: Attempt) -> None:
    """Names collections that are no longer those that the swap put in place."""
    replaced = [
        f"{one.database}.{one.name}"
        for one in plan
        if is_renamed(one.definition)
        and uuids(connection, one.database, one.name).get(one.name) != one.uuid
    ]
    if replaced:
        names = ", ".join(replaced[:_MAX_NAMED])
        attempt.say(f"{len(replaced)} collections were replaced since then: {names}")


def _drop_prefix(connection: Connection, prefix: str, ledger: str = "") -> None:
    """Drops all collections with a prefix of ours but the ledger."""
    for database, name in collections_of_prefix(connection, prefix):
        if name != ledger:
            drop(connection, database, name)


def put_back(address: Address, op: str, attempt: Attempt, guard: Guard) -> None:
    """Puts the old data of restore `op` back and drops the restored data.

    The ledger stays for repetitions; `drop_aside` removes it.
    """
    with _exclusive(address, attempt, guard) as connection:
        ledger = _old_ledger(connection, op, attempt)
        state = ledger.state
        if not state:
            raise RestoreDiffers("nothing of this restore is set aside on the server any more")
        if not ledger.phase:
            raise RestoreDiffers("the old data was not set aside as a whole")
        if ledger.phase == MOVED:
            attempt.say("the old data was put back before")
            return
        plan, filled = ledger.plan(), set(state.get("filled", ()))
        returned = {one.uuid for one in plan if one.uuid}
        leaving = [
            one
            for one in _leaving(connection, set(state["databases"]), "")
            if one.uuid not in returned and f"{one.database}.{one.name}" not in filled
        ]
        Mover(connection, ledger, attempt, guard, keep=False).run(plan, leaving)
        prefix = staging_names.old_prefix(op)
        old = KeptAccounts(connection, prefix, attempt.sealer).accounts(attempt.say)
        accounts.apply(
            connection, accounts.plan(connection, address, old, attempt.say), attempt.say
        )
        accounts.drop_accounts(connection, state.get("newAccounts", {}), attempt.say)
        ledger.change(phase=MOVED)
        attempt.say(f"back in place: {', '.join(sorted({one.database for one in plan}))}")
        _drop_prefix(connection, prefix, ledger.name)
        _drop_prefix(connection, staging_names.stages_prefix(op))


def drop_aside(address: Address, op: str, attempt: Attempt, guard: Guard) -> None:
    """Removes the old data of restore `op`; the ledger goes last."""
    with _exclusive(address, attempt, guard) as connection:
        ledger = staging_names.old_ledger_database(op)
        _drop_prefix(connection, staging_names.stages_prefix(op))
        _drop_prefix(connection, staging_names.old_prefix(op), ledger)
        drop(connection, HOME, ledger)


def discard(address: Address, attempt: Attempt) -> str:
    """Undoes an attempt whose data has not moved; completes one whose data has begun to."""
    try:
        with _exclusive(address, attempt) as connection:
            ledger = _staged_ledger(connection, attempt)
            if ledger.phase == MOVING:
                unmade: list[str] = []
                quiet = replace(attempt, say=unmade.append, keep_old=False)
                complete(connection, address, ledger, quiet, None)
            if ledger.phase == DONE:
                drop_staged(connection, attempt)
                _drop_prefix(connection, staging_names.old_prefix(attempt.op))
                return "the restored data is in place; the old data is gone"
            staged = drop_staged(connection, attempt)
            _drop_prefix(connection, staging_names.old_prefix(attempt.op))
            return "the target is as it was" + ("; what was staged is removed" if staged else "")
    except Failure as error:
        raise type(error)(
            "the state of the target is not known, and collections named holdfast_* may remain:"
            f" {error.message}",
            **error.facts,
        ) from error
