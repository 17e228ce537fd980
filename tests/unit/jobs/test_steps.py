"""Which steps remain, and what differs between a dump and what was restored."""

from dataclasses import replace

import pytest

from holdfast.contracts.engine import Inventory, Table
from holdfast.jobs.core.step import remaining
from holdfast.jobs.dumps import inventories
from holdfast.jobs.dumps.backup import BACKUP
from holdfast.jobs.dumps.restore import RESTORE


@pytest.mark.parametrize("plan", [BACKUP, RESTORE])
def test_the_steps_after_the_saved_one_remain(plan: object) -> None:
    names = [step.name for step in plan.steps]  # type: ignore[attr-defined]
    assert [s.name for s in remaining(plan, None)] == names  # type: ignore[arg-type]
    for at, name in enumerate(names):
        assert [s.name for s in remaining(plan, name)] == names[at + 1 :]  # type: ignore[arg-type]


def test_an_unknown_saved_step_is_an_error() -> None:
    with pytest.raises(ValueError, match="not in list"):
        remaining(BACKUP, "dance")


def inventory(**rows: int) -> Inventory:
    tables = [Table(database="d", name=name, rows=count) for name, count in rows.items()]
    return Inventory(tables, {"d": {"views": 2}})


def test_equal_inventories_do_not_differ() -> None:
    assert inventories.differences(inventory(a=1, b=2), inventory(b=2, a=1)) == []


def test_every_difference_is_a_sentence() -> None:
    wanted, loaded = inventory(a=1, b=2), inventory(a=1, c=3)
    loaded = replace(loaded, objects={"d": {"views": 1}})
    assert inventories.differences(wanted, loaded) == [
        "table d.b: 2 rows dumped, no such table restored",
        "table d.c was not in the dump",
        "d: 2 views were dumped, 1 restored",
    ]


def test_an_inventory_survives_being_written_down() -> None:
    made = inventory(a=1, b=2)
    document = inventories.document(made)
    assert inventories.parse(document) == made
    rows = inventories.rows_by_database(document)
    assert rows == {"d": {"a": 1, "b": 2}}
    assert inventories.rows_as_tables(rows, {}) == document["tables"]


def test_rows_may_lie_in_another_part_of_their_table() -> None:
    """Also those of a dump that did not record which tables are parts."""

    def parts(one: int, two: int, root: str) -> Inventory:
        rows = [Table("d", "p1", one, root=root), Table("d", "p2", two, root=root)]
        return Inventory([*rows, Table("d", "t", 1)], {})

    for root in ("p", ""):
        assert inventories.differences(parts(3, 0, root), parts(1, 2, "p")) == []
        assert inventories.differences(parts(3, 0, root), parts(1, 1, "p")) == [
            "table d.p: 3 rows dumped, 2 restored"
        ]
    in_file = Inventory([Table("", "p", 3)], {})
    assert inventories.shortfalls(in_file, parts(1, 2, "p")) == []
