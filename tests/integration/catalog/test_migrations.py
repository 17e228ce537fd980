"""The schema: the same from migrations and from the classes, whoever starts first, how often."""

import subprocess
import sys

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import select

from holdfast.catalog.database.migrate import migrate, newest
from holdfast.catalog.database.session import Catalog
from holdfast.catalog.database.upgrading import config
from holdfast.catalog.schema import Copy, Deletion, Restore, Table

FIRST_VERSION = """
INSERT INTO projects (pk, id, name, created, updated) VALUES (1, 'p', 'P', 1, 1);
INSERT INTO addons (pk, uid, project_pk, id, name, kind, version, managed, desired, status, host,
  port, login, dbname, options, sealed_password, tags, spec, created, updated)
  VALUES (1, 'u', 1, 'a', 'A', 'postgresql', '15', false, 'running', 'running', 'h', 1, 'u', 'd',
  '{}', '', '[]', '{}', 1, 1);
INSERT INTO destinations (pk, id, name, kind, prefix, options, sealed_secret, created, updated)
  VALUES (1, 'd', 'D', 's3', '', '{}', '', 1, 1);
INSERT INTO backups (pk, uid, addon_pk, id, name, type, source, status, size, version, retained,
  objects, created, completed)
  VALUES (1, 'u1', 1, 'b1', 'B1', 'dump', 'sameAddon', 'completed', 7, '15', false,
  'dumps/p/a/u1/1/', 1, 2);
INSERT INTO backups (pk, uid, addon_pk, id, name, type, source, destination_pk, status, size,
  version, retained, created, completed, deleted)
  VALUES (2, 'u2', 1, 'b2', 'B2', 'dump', 'sameAddon', 1, 'failed', 0, '15', false, 3, 4, 9);
INSERT INTO restores (id, backup_pk, addon_pk, status, operation, created)
  VALUES ('r', 1, 1, 'completed', 'o', 5);
INSERT INTO deletions (destination_pk, prefix, reason, created, tries)
  VALUES (1, 'dumps/p/a/u2/', 'deleted', 9, 0)
"""

MIGRATE = """
import sys
from holdfast.catalog.database.migrate import migrate
from holdfast.catalog.database.session import Catalog
from holdfast.catalog.database.upgrading import config
migrate(Catalog(sys.argv[1]))
"""


def test_the_migrations_make_what_the_classes_say(catalog: Catalog) -> None:
    with catalog.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Table.metadata) == []


def test_the_newest_revision_is_known_without_loading_any() -> None:
    assert newest() == ScriptDirectory.from_config(config()).get_current_head()


def test_a_second_upgrade_changes_nothing(catalog: Catalog) -> None:
    with catalog.write() as session:
        session.connection().exec_driver_sql("INSERT INTO chores VALUES ('a', 1, NULL, NULL)")
    migrate(catalog)
    with catalog.read() as session:
        rows = session.connection().exec_driver_sql("SELECT name, due FROM chores").all()
    assert [tuple(row) for row in rows] == [("a", 1)]


def test_a_backup_of_the_first_version_has_one_copy(empty_url: str) -> None:
    catalog = Catalog(empty_url)
    with catalog.engine.connect() as connection, connection.begin():
        settings = config()
        settings.attributes["connection"] = connection
        command.upgrade(settings, "0001")
        for statement in FIRST_VERSION.split(";\n"):
            connection.exec_driver_sql(statement)
    migrate(catalog)
    with catalog.read() as session:
        kept = session.scalars(select(Copy).order_by(Copy.pk)).all()
        deletion = session.scalars(select(Deletion)).one()
        restore = session.scalars(select(Restore)).one()
    assert [(c.backup_pk, c.destination_pk, c.objects, c.size, c.gone) for c in kept] == [
        (1, None, "dumps/p/a/u1/1/", 7, None),
        (2, 1, None, 0, 9),
    ]
    assert [(c.additional, c.expires, c.status) for c in kept] == [
        (False, None, "completed"),
        (False, None, "failed"),
    ]
    assert (deletion.prefix, deletion.due, deletion.begun) == ("dumps/p/a/u2/", 9, 9)
    assert restore.backup_pk == 1
    catalog.close()


def test_processes_that_start_together_upgrade_once(empty_url: str) -> None:
    argv = [sys.executable, "-c", MIGRATE, empty_url]
    children = [subprocess.Popen(argv, stderr=subprocess.PIPE) for _ in range(3)]
    for child in children:
        _, said = child.communicate(timeout=60)
        assert child.returncode == 0, said.decode()[-2000:]
    made = Catalog(empty_url)
    with made.engine.connect() as connection:
        context = MigrationContext.configure(connection)
        assert compare_metadata(context, Table.metadata) == []
    made.close()
