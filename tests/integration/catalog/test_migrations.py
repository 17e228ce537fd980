"""The schema: the same from migrations and from the classes, whoever starts first, how often."""

import subprocess
import sys

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from holdfast.catalog.migrate import migrate
from holdfast.catalog.schema import Table
from holdfast.catalog.session import Catalog

MIGRATE = """
import sys
from holdfast.catalog.migrate import migrate
from holdfast.catalog.session import Catalog
migrate(Catalog(sys.argv[1]))
"""


def test_the_migrations_make_what_the_classes_say(catalog: Catalog) -> None:
    with catalog.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Table.metadata) == []


def test_a_second_upgrade_changes_nothing(catalog: Catalog) -> None:
    with catalog.write() as session:
        session.connection().exec_driver_sql("INSERT INTO settings VALUES ('a', 'b')")
    migrate(catalog)
    with catalog.read() as session:
        rows = session.connection().exec_driver_sql("SELECT * FROM settings").all()
    assert [tuple(row) for row in rows] == [("a", "b")]


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
