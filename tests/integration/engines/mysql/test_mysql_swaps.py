"""A restore cut off at any moment: the target is as it was, or the restored data is in place."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from fixtures.mysql import MySQLServer, StartMySQL, Taken, leftovers, take
from fixtures.mysql_data import differences, fill, fingerprint
from fixtures.postgres import Log, a_guard
from holdfast.engines.mysql.restore import renaming
from holdfast.engines.mysql.restore import swap as swapping


class Killed(BaseException):
    """What a kill looks like from inside: nothing after it runs."""


@pytest.fixture(scope="module")
def taken(start_mysql: StartMySQL) -> tuple[Taken, dict[str, Any]]:
    source = start_mysql("source")
    source.wipe()
    fill(source, customers=30)
    return take(source.engine, source.address), fingerprint(source)


@pytest.fixture
def target(start_mysql: StartMySQL) -> MySQLServer:
    """It holds an older state of the same databases, with views and triggers of its own."""
    made = start_mysql("target")
    made.wipe()
    made.execute(
        "CREATE DATABASE shop CHARACTER SET latin1",
        "CREATE TABLE shop.customer (id int PRIMARY KEY, other int)",
        "CREATE TABLE shop.gone (id int, KEY (id))",
        "INSERT INTO shop.customer VALUES (1, 2)",
        "CREATE TRIGGER shop.old_trigger BEFORE INSERT ON shop.customer FOR EACH ROW SET NEW.other"
        " = 7",
        "CREATE VIEW shop.purchase AS SELECT id FROM shop.customer",
        "CREATE VIEW shop.zz AS SELECT id FROM shop.purchase",
        "CREATE PROCEDURE shop.fill() SELECT 1",
    )
    return made


POINTS = (
    "record_foreign_keys",
    "rename",
    "finish",
    "_complete",
    "apply",
    "drop_user",
    "close",
)
OWNERS: dict[str, Any] = {
    "record_foreign_keys": swapping.Ledger,
    "close": swapping.Ledger,
    "rename": renaming,
    "finish": renaming,
    "apply": swapping.grants,
}


def die_at(monkeypatch: pytest.MonkeyPatch, point: str, *, after: bool) -> None:
    owner = OWNERS.get(point, swapping)
    real: Callable[..., Any] = getattr(owner, point)

    def deadly(*arguments: Any) -> Any:
        if after:
            real(*arguments)
        raise Killed

    monkeypatch.setattr(owner, point, deadly)


def cases(points: Sequence[str], soon: Sequence[tuple[str, bool]]) -> list[Any]:
    """All of them; those not named run in the slow run."""
    return [
        pytest.param(point, after, marks=() if (point, after) in soon else pytest.mark.slow)
        for point in points
        for after in (False, True)
    ]


@pytest.mark.parametrize(("point", "after"), cases(POINTS, [("rename", True)]))
def test_a_swap_that_was_killed_is_repeated(
    target: MySQLServer,
    taken: tuple[Taken, dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
    point: str,
    after: bool,
) -> None:
    dump, before = taken
    engine, log = target.engine, Log()
    attempt = log.attempt("op", "1")
    engine.stage(target.address, dump.dump, dump.fetch, attempt, a_guard())
    with monkeypatch.context() as patched:
        die_at(patched, point, after=after)
        with pytest.raises(Killed):
            engine.swap(target.address, dump.dump, attempt, a_guard())
    again = log.attempt("op", "2")
    engine.swap(target.address, dump.dump, again, a_guard())
    engine.swap(target.address, dump.dump, again, a_guard())
    assert differences(before, fingerprint(target)) == []
    assert not leftovers(target)


@pytest.mark.parametrize(("point", "after"), cases(POINTS[:4], [("rename", False)]))
def test_a_restore_that_is_called_off_leaves_one_of_two_states(
    target: MySQLServer,
    taken: tuple[Taken, dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
    point: str,
    after: bool,
) -> None:
    dump, restored = taken
    original = fingerprint(target)
    engine, log = target.engine, Log()
    attempt = log.attempt("op", "1")
    engine.stage(target.address, dump.dump, dump.fetch, attempt, a_guard())
    with monkeypatch.context() as patched:
        die_at(patched, point, after=after)
        with pytest.raises(Killed):
            engine.swap(target.address, dump.dump, attempt, a_guard())
    said = engine.discard(target.address, attempt)
    found = fingerprint(target)
    if POINTS.index(point) + after < 2:
        assert "as it was" in said
        assert differences(original, found) == []
    else:
        assert "the restored data is in place" in said
        tables = {key: value for key, value in found.items() if not key.startswith("account")}
        wanted = {key: value for key, value in restored.items() if not key.startswith("account")}
        assert differences(wanted, {**tables, "database main": wanted["database main"]}) == []
    assert not leftovers(target)
    assert "as it was" in engine.discard(target.address, attempt)


def test_a_discarded_stage_leaves_nothing(
    target: MySQLServer, taken: tuple[Taken, dict[str, Any]]
) -> None:
    original = fingerprint(target)
    attempt = Log().attempt("op", "1")
    target.engine.stage(target.address, taken[0].dump, taken[0].fetch, attempt, a_guard())
    assert leftovers(target)
    assert {k: v for k, v in fingerprint(target).items() if "holdfast_" not in k} == original
    assert "what was staged is removed" in target.engine.discard(target.address, attempt)
    assert fingerprint(target) == original
    assert not leftovers(target)


def test_sessions_that_hold_a_table_do_not_hold_up_a_swap(
    target: MySQLServer, taken: tuple[Taken, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(renaming, "_WAIT_SECONDS", 1)
    dump, attempt = taken[0], Log().attempt("op", "1")
    target.engine.stage(target.address, dump.dump, dump.fetch, attempt, a_guard())
    with target.connect("shop") as holder:
        holder.execute("BEGIN")
        holder.rows("SELECT * FROM customer")
        target.engine.swap(target.address, dump.dump, attempt, a_guard())
    assert not leftovers(target)
