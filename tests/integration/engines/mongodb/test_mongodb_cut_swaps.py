"""A swap that is killed at any command leaves old or new, and its repetition ends it."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from fixtures.mongodb import MongoServer, StartMongo
from fixtures.mongodb_data import differences, fill, fingerprint, leftovers
from fixtures.mongodb_dumps import TakenMongo, take
from fixtures.postgres import Log, a_guard
from holdfast.contracts.engine import Attempt
from holdfast.domain.errors import FencedOff, RestoreDiffers
from holdfast.engines import staging_names
from holdfast.engines.mongodb.client.connection import Connection
from holdfast.engines.mongodb.restore import staging, swap
from holdfast.engines.mongodb.restore.staging import Staging
from holdfast.engines.staging_names import OLD, STAGE

CHANGING = (
    *("renameCollection", "drop", "create", "insert", "update", "delete", "collMod"),
    *("createIndexes", "createRole", "updateRole"),
)
MOST = 140
"""More commands than a swap of this server has."""
SOON = (9, 44)
STEP = 3


class Killed(BaseException):
    """What a kill looks like from inside: nothing after it runs."""


@pytest.fixture(scope="module")
def small(start_mongodb: StartMongo) -> tuple[TakenMongo, dict[str, Any]]:
    source = start_mongodb("source")
    source.wipe()
    client = source.client()
    fill(client, orders=20, big=False)
    client["odd-Names"].drop_collection("raw")
    return take(source.address), fingerprint(client)


@pytest.fixture
def target(other_mongodb: MongoServer) -> MongoServer:
    """An older state of the same databases, and one that goes."""
    client = other_mongodb.client()
    fill(client, orders=5, big=False, users=False)
    client["odd-Names"].drop_collection("raw")
    client.third.things.insert_one({"_id": 1})
    return other_mongodb


def cases() -> list[Any]:
    numbers = sorted({*SOON, *range(0, MOST, STEP)})
    return [
        pytest.param(number, marks=() if number in SOON else pytest.mark.slow) for number in numbers
    ]


def staged(server: MongoServer, taken: TakenMongo, **how: bool) -> Attempt:
    attempt = replace(Log().attempt("op"), number=1, **how)
    Staging(server.address, taken.dump, attempt, a_guard()).run(taken.fetch)
    return attempt


def cut_at(
    number: int,
    monkeypatch: pytest.MonkeyPatch,
    server: MongoServer,
    taken: TakenMongo,
    attempt: Attempt,
) -> bool:
    """Kills the swap before this changing command; whether it came so far."""
    with monkeypatch.context() as patched:
        count = die_before(number, patched)
        try:
            swap.swap(server.address, attempt, a_guard())
        except Killed:
            return True
    assert number not in SOON, f"a swap has only {count()} commands by now"
    return False


def die_before(number: int, patched: pytest.MonkeyPatch) -> Callable[[], int]:
    """Kills before this changing command; returns what tells how many there were."""
    original, count = Connection.command, 0

    def command(self: Connection, database: str, command: Any, session: Any = None) -> Any:
        nonlocal count
        if next(iter(command)) in CHANGING:
            if count == number:
                raise Killed
            count += 1
        return original(self, database, command, session)

    patched.setattr(Connection, "command", command)
    return lambda: count


@pytest.mark.parametrize("number", cases())
def test_a_cut_swap_is_ended_by_its_repetition(
    target: MongoServer,
    small: tuple[TakenMongo, dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
    number: int,
) -> None:
    taken, before = small
    keep = number % 2 == 0
    changed = fingerprint(target.client())
    attempt = staged(target, taken, keep_old=keep)
    cut_at(number, monkeypatch, target, taken, attempt)
    later = replace(attempt, number=2, staged=1)
    swap.swap(target.address, later, a_guard())
    swap.swap(target.address, later, a_guard())
    client = target.client()
    if keep:
        swap.put_back(target.address, "op", Log().attempt("undo"), a_guard())
        assert differences(changed, fingerprint(client)) == []
        swap.drop_aside(target.address, "op", Log().attempt("drop"), a_guard())
    else:
        assert differences(before, fingerprint(client)) == []
    assert leftovers(client) == []


@pytest.mark.parametrize(
    "number",
    [pytest.param(4, marks=pytest.mark.slow), 30, pytest.param(45, marks=pytest.mark.slow)],
)
def test_a_stage_that_was_cut_touches_nothing_and_is_done_again(
    target: MongoServer,
    small: tuple[TakenMongo, dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
    number: int,
) -> None:
    taken, before = small
    client = target.client()
    changed = fingerprint(client)
    with monkeypatch.context() as patched:
        die_before(number, patched)
        with pytest.raises(Killed):
            staged(target, taken)
    assert differences(changed, without(STAGE, fingerprint(client))) == []
    again = replace(Log().attempt("op"), number=2)
    Staging(target.address, taken.dump, again, a_guard()).run(taken.fetch)
    swap.swap(target.address, again, a_guard())
    assert differences(before, fingerprint(client)) == []
    assert leftovers(client) == []


@pytest.mark.parametrize("number", cases())
def test_a_cut_swap_is_discarded_into_one_state_or_the_other(
    target: MongoServer,
    small: tuple[TakenMongo, dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
    number: int,
) -> None:
    taken, before = small
    changed = fingerprint(target.client())
    attempt = staged(target, taken, keep_old=number % 2 == 0)
    was_cut = cut_at(number, monkeypatch, target, taken, attempt)
    state = swap.discard(target.address, attempt)
    client = target.client()
    if "in place" in state or not was_cut:
        assert differences(before, without(OLD, fingerprint(client))) == []
    else:
        assert "as it was" in state
        assert differences(changed, fingerprint(client)) == []
    if was_cut:
        assert leftovers(client) == []
        assert "as it was" in swap.discard(target.address, attempt)


def without(prefix: str, state: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in state.items() if f".{prefix}" not in key}


def test_nothing_is_swapped_that_was_not_staged(
    target: MongoServer, small: tuple[TakenMongo, dict[str, Any]]
) -> None:
    """Not even where every name of the dump is there: those collections are others."""
    taken, _ = small
    client = target.client()
    with pytest.raises(RestoreDiffers, match="nothing is staged"):
        swap.swap(target.address, Log().attempt("never"), a_guard())
    attempt = staged(target, taken)
    (one, *_) = [name for name in client.shop.list_collection_names() if name.startswith("hold")]
    client.shop.drop_collection(one)
    with pytest.raises(RestoreDiffers, match="nothing is staged of shop"):
        swap.swap(target.address, attempt, a_guard())
    assert "what was staged is removed" in swap.discard(target.address, attempt)
    assert leftovers(client) == []


def test_a_swap_knows_by_its_ledger_that_it_was_done(
    target: MongoServer,
    small: tuple[TakenMongo, dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    taken, _ = small
    client, log = target.client(), Log()
    attempt = replace(staged(target, taken), say=log.lines.append)
    swap.swap(target.address, attempt, a_guard())
    client.shop.empty.drop()
    client.shop.create_collection("empty")
    for _ in range(2):
        swap.swap(target.address, attempt, a_guard())
    assert log.lines[-2:] == [
        "the swap was done before",
        "1 collections were replaced since then: shop.empty",
    ]
    ledger = staging_names.ledger_database(attempt)
    for age, is_there in ((staging._MAX_REPEAT_MS, True), (-1, False)):
        monkeypatch.setattr(staging, "_MAX_REPEAT_MS", age)
        Staging(target.address, taken.dump, Log().attempt("later"), a_guard()).run(taken.fetch)
        assert (ledger in client.admin.list_collection_names()) is is_there


def test_an_attempt_that_was_taken_over_changes_nothing_more(
    target: MongoServer, small: tuple[TakenMongo, dict[str, Any]]
) -> None:
    taken, before = small
    attempt = staged(target, taken)
    questions = 0

    def confirm() -> None:
        nonlocal questions
        questions += 1
        if questions > 6:
            raise FencedOff

    fenced = replace(attempt, confirm=confirm)
    with pytest.raises(FencedOff):
        swap.swap(target.address, fenced, a_guard())
    swap.swap(target.address, replace(attempt, number=2, staged=1), a_guard())
    assert differences(before, fingerprint(target.client())) == []
