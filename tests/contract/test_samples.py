"""Public databases, as packages ship them, come back as they were."""

import json
import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest

from fixtures.conformance import ConformanceInstallation, come_back
from fixtures.engine_cases import ENGINE_CASES, Instance, MySQLCase, SQLiteCase
from fixtures.imported import taken_in
from fixtures.sqlite_data import contents

pytestmark = pytest.mark.slow

MARIADB = Path("/usr/share/mysql")
SYSTEM = "a_system"
"""The name that MariaDB's `sys` schema gets, which every server has already."""


@pytest.fixture(scope="module")
def samples() -> Path:
    script = Path(__file__).parents[2] / "tools" / "samples.py"
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return Path(done.stdout.splitlines()[-1])


Columns = Mapping[str, str]


def chinook(samples: Path, names: Mapping[type, str]) -> dict[str, tuple[Columns, list[list[Any]]]]:
    """Table to its columns with their types, and its rows; 15,607 of these in all."""
    found: dict[str, list[dict[str, Any]]] = {}
    for entry in json.loads((samples / "initial_data.json").read_text()):
        row = {"pk": entry["pk"], **entry["fields"]}
        found.setdefault(entry["model"].replace(".", "_"), []).append(row)
    tables: dict[str, tuple[Columns, list[list[Any]]]] = {}
    for table, rows in found.items():
        columns: dict[str, str] = {}
        for row in rows:
            for name, value in row.items():
                if value is not None:
                    kind = names[type(value)]
                    columns[name] = names[float] if columns.get(name) == names[float] else kind
        tables[table] = columns, [[row.get(name) for name in columns] for row in rows]
    return tables


def postgres(samples: Path, instance: Instance) -> None:
    with psycopg.connect(instance.url, autocommit=True) as session:
        session.execute(
            "CREATE TABLE spatial_ref_sys (srid integer PRIMARY KEY, auth_name varchar(256),"
            " auth_srid integer, srtext varchar(2048), proj4text varchar(2048))"
        )
        session.execute((samples / "spatial_ref_sys.sql").read_bytes())
        kinds = {int: "bigint", float: "numeric", str: "text", bool: "boolean"}
        for table, (columns, rows) in chinook(samples, kinds).items():
            listed = ", ".join(f'"{name}" {kind}' for name, kind in columns.items())
            session.execute(f"CREATE TABLE {table} ({listed}, PRIMARY KEY (pk))".encode())
            with session.cursor().copy(f"COPY {table} FROM STDIN".encode()) as copy:
                for row in rows:
                    copy.write_row(row)
        count = session.execute("SELECT count(*) FROM spatial_ref_sys").fetchone()
        assert count is not None
        assert count[0] > 8000


def mariadb(samples: Path, instance: Instance) -> None:
    made = MySQLCase.behind(instance.url)
    with made.connect("main") as session:
        kinds = {int: "bigint", float: "decimal(12,4)", str: "longtext", bool: "boolean"}
        for table, (columns, rows) in chinook(samples, kinds).items():
            listed = ", ".join(f"`{name}` {kind}" for name, kind in columns.items())
            session.execute(f"CREATE TABLE {table} ({listed}, PRIMARY KEY (pk))")
            marks = f"({', '.join(['%s'] * len(columns))})"
            for at in range(0, len(rows), 500):
                part = rows[at : at + 500]
                values = [value for row in part for value in row]
                session.execute(
                    f"INSERT INTO {table} VALUES {', '.join([marks] * len(part))}", values
                )
    tables = (MARIADB / "mysql_system_tables.sql").read_text()
    helping = re.findall(r"(?ms)^CREATE TABLE IF NOT EXISTS help_.*?;$", tables)
    assert len(helping) == 4
    system = (MARIADB / "mysql_sys_schema.sql").read_text()
    system = re.sub(r"(DATABASE (?:IF NOT EXISTS )?|USE )sys\b", rf"\1{SYSTEM}", system)
    helps = (MARIADB / "fill_help_tables.sql").read_text().replace("use mysql;", "")
    script = "\n".join([*helping, helps, system])
    file = made.log.with_suffix(".cnf")
    file.touch(0o600)
    password = made.place.password.reveal().replace("\\", "\\\\").replace('"', '\\"')
    file.write_text(
        f'[client]\nhost=127.0.0.1\nport={made.place.port}\nuser=admin\npassword="{password}"\n'
    )
    subprocess.run(
        ["mariadb", f"--defaults-file={file}", "--default-character-set=utf8mb4", "main"],
        input=script.encode(),
        check=True,
    )
    views = made.execute(
        f"SELECT count(*) FROM information_schema.views WHERE table_schema = '{SYSTEM}'"
    )
    assert views[0][0] > 90
    assert made.execute("SELECT count(*) FROM main.help_topic")[0][0] > 500


def sqlite(samples: Path, instance: Instance) -> None:
    path = Path(instance.url.removeprefix("sqlite://"))
    shutil.copyfile(samples / "proj.db", path)
    with closing(sqlite3.connect(path, isolation_level=None)) as session:
        session.execute("BEGIN")
        kinds = {int: "INTEGER", float: "REAL", str: "TEXT", bool: "INTEGER"}
        for table, (columns, rows) in chinook(samples, kinds).items():
            listed = ", ".join(f'"{name}" {kind}' for name, kind in columns.items())
            session.execute(f"CREATE TABLE {table} ({listed}, PRIMARY KEY (pk))")
            marks = ", ".join("?" * len(columns))
            session.executemany(f"INSERT INTO {table} VALUES ({marks})", rows)
        session.execute("COMMIT")


FILLS: dict[str, Callable[[Path, Instance], None]] = {
    "postgresql": postgres,
    "mariadb": mariadb,
    "sqlite": sqlite,
}


@pytest.mark.parametrize("form", ["dump-zstd", "snapshot"])
@pytest.mark.parametrize("name", FILLS)
def test_public_databases_come_back(
    conformance: ConformanceInstallation, samples: Path, name: str, form: str
) -> None:
    case = SQLiteCase(contents) if name == "sqlite" else ENGINE_CASES[name]
    come_back(conformance, case, form, "attached", lambda instance: FILLS[name](samples, instance))


def test_a_public_file_is_imported(samples: Path, tmp_path: Path) -> None:
    engine = ENGINE_CASES["sqlite"].engine(tmp_path)
    for body in ((samples / "proj.db").read_bytes(), dumped(samples / "proj.db")):
        dump = taken_in(engine, body)  # type: ignore[arg-type]
        rows = {table.name: table.rows for table in dump.inventory.tables}
        assert rows["unit_of_measure"] > 50
        assert len(rows) > 30


def dumped(path: Path) -> bytes:
    return subprocess.run(["sqlite3", path, ".dump"], capture_output=True, check=True).stdout
