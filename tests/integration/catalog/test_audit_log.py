"""The audit log below the API: what a watch tells, and that the database keeps it as it is."""

from collections.abc import Callable

import pytest
from sqlalchemy import delete, select, text, update
from sqlalchemy.exc import DBAPIError

from holdfast.catalog.database.session import Catalog, WriteSession
from holdfast.catalog.schema import Addon, AuditEntry, Destination, Project, ProtectionRow, Token
from holdfast.domain.access import BUILT_IN, Caller
from holdfast.usecases.auditing import Change, Origin, audited

CALLER = Caller("t" * 24, "ci", "owner", frozenset(BUILT_IN["owner"]), None)
ORIGIN = Origin("r1", "192.0.2.1", "test", Change("project", "p", "p", None, None, None))


def write(catalog: Catalog, work: Callable[[WriteSession], object]) -> list[AuditEntry]:
    """The entries that one transaction makes."""
    with catalog.write() as session:
        before = session.scalars(select(AuditEntry.pk)).all()
        audited(session, CALLER, ORIGIN, 7, lambda: work(session))
    with catalog.read() as session:
        new = session.scalars(select(AuditEntry).where(AuditEntry.pk.not_in(before)))
        found = list(new.all())
        session.expunge_all()
    return found


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_log SET actor = 'somebody else'",
        "UPDATE audit_log SET pk = pk + 1",
        "DELETE FROM audit_log",
        "DELETE FROM audit_log WHERE pk > 0",
    ],
)
def test_the_database_keeps_what_is_written(catalog: Catalog, statement: str) -> None:
    write(catalog, lambda session: None)
    with pytest.raises(DBAPIError, match="only ever added to"), catalog.write() as session:
        session.execute(text(statement))
    with catalog.read() as session:
        assert session.scalars(select(AuditEntry.actor)).all() == ["ci"]


def test_other_ways_to_remove_a_row_are_closed_too(catalog: Catalog) -> None:
    write(catalog, lambda session: None)
    way = "TRUNCATE audit_log"
    if catalog.is_sqlite:
        way = "INSERT OR REPLACE INTO audit_log SELECT pk, 9, request, address, token, 'x', role,"
        way += " action, kind, object, project, addon, before, after FROM audit_log"
    with pytest.raises(DBAPIError, match="only ever added to"), catalog.write() as session:
        session.execute(text(way))
    with catalog.read() as session:
        assert session.scalars(select(AuditEntry.actor)).all() == ["ci"]


def test_an_entry_lives_and_dies_with_its_change(catalog: Catalog) -> None:
    def fail(session: WriteSession) -> None:
        session.add(Project(id="p", name="P", created=1, updated=1))
        session.flush()
        raise RuntimeError("the verb changed its mind")

    with pytest.raises(RuntimeError, match="mind"):
        write(catalog, fail)
    with catalog.read() as session:
        assert session.scalars(select(AuditEntry)).all() == []
        assert session.scalars(select(Project)).all() == []


def test_new_changed_and_removed_rows_are_told_apart(catalog: Catalog) -> None:
    def make(session: WriteSession) -> None:
        session.add(Project(id="p", name="P", color="#ffffff", created=1, updated=1))

    def paint(session: WriteSession) -> None:
        project = session.scalars(select(Project)).one()
        project.color, project.description = "#000000", "Dark"

    def remove(session: WriteSession) -> None:
        session.delete(session.scalars(select(Project)).one())

    (made,), (painted,), (removed,) = (write(catalog, work) for work in (make, paint, remove))
    assert (made.before, made.after) == (None, {"id": "p", "name": "P", "color": "#ffffff"})
    assert painted.before == {"color": "#ffffff"}
    assert painted.after == {"color": "#000000", "description": "Dark"}
    assert removed.after is None
    assert (removed.before or {})["description"] == "Dark"
    for entry in (made, painted, removed):
        assert (entry.kind, entry.object, entry.project, entry.addon) == ("project", "p", "p", None)
        assert (entry.at, entry.token, entry.actor) == (7, CALLER.token_id, "ci")
        assert (entry.request, entry.address, entry.action) == ("r1", "192.0.2.1", "test")


def test_a_row_that_is_changed_without_being_loaded_again_is_seen(
    catalog: Catalog, new_addon: Callable[[], int]
) -> None:
    pk = new_addon()

    def change(session: WriteSession) -> None:
        session.get_one(Addon, pk)
        session.execute(
            update(Addon)
            .where(Addon.pk == pk)
            .values(status="paused")
            .execution_options(synchronize_session=False)
        )

    (entry,) = write(catalog, change)
    assert (entry.before, entry.after) == ({"status": "running"}, {"status": "paused"})
    assert entry.addon == entry.object
    assert entry.project is not None


def test_a_row_removed_by_a_statement_is_gone(
    catalog: Catalog, new_addon: Callable[[], int]
) -> None:
    pk = new_addon()

    def change(session: WriteSession) -> None:
        session.get_one(Addon, pk)
        session.execute(delete(ProtectionRow).where(ProtectionRow.addon_pk == pk))
        statement = delete(Addon).where(Addon.pk == pk)
        session.execute(statement.execution_options(synchronize_session=False))

    (entry,) = write(catalog, change)
    assert entry.after is None


def test_secrets_are_only_said_to_be_others(catalog: Catalog, new_addon: Callable[[], int]) -> None:
    pk = new_addon()

    def change(session: WriteSession) -> None:
        session.get_one(Addon, pk).sealed_password = "sealed anew"

    def add(session: WriteSession) -> None:
        options = {"endpoint": "https://s3", "bucket_name": "b", "access_key": "AKIA-SECRET"}
        session.add(
            Destination(
                id="d",
                name="D",
                kind="s3",
                prefix="",
                options=options,
                sealed_secret="sealed-SECRET",
                created=1,
                updated=1,
            )
        )
        session.add(
            Token(id="a" * 24, name="T", digest="SECRET".ljust(64), role="owner", created=1)
        )

    (changed,), more = write(catalog, change), write(catalog, add)
    entries = [changed, *more]
    destination, token = sorted(more, key=lambda entry: entry.kind)
    assert changed.before == {"password": "********"}
    assert changed.after == {"password": "******** (replaced)"}
    assert (destination.after or {})["endpoint"] == "https://s3"
    assert (destination.after or {})["secret"] == "********"
    assert token.after == {"id": "a" * 24, "name": "T", "role": "owner"}
    assert not any("SECRET" in str((each.before, each.after)) for each in entries)


def test_what_changes_no_row_is_told_by_what_was_asked(catalog: Catalog) -> None:
    (entry,) = write(catalog, lambda session: session.scalars(select(Project)).all())
    assert (entry.kind, entry.object, entry.before, entry.after) == ("project", "p", None, None)


def test_what_another_process_changes_meanwhile_is_not_in_it(
    catalog: Catalog, new_addon: Callable[[], int]
) -> None:
    """On SQLite a transaction keeps others from writing, so the other is told by a statement that
    the session's own events do not see."""
    addon_pk = new_addon()
    other = text("UPDATE addons SET status = 'deleting' WHERE pk = :pk")

    def rename(session: WriteSession) -> None:
        addon = session.get_one(Addon, addon_pk)
        session.connection().execute(other, {"pk": addon_pk})
        addon.name = "renamed"

    (entry,) = write(catalog, rename)
    assert entry.before is not None
    assert (set(entry.before), entry.after) == ({"name"}, {"name": "renamed"})
