"""Drills of every engine and of both kinds of backup, with real servers."""

import sqlite3
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import pymongo
import pymysql
import pytest

from fixtures.drills import DrillInstallation
from fixtures.holdfast import fresh
from fixtures.installation import installation_home, running
from fixtures.mongodb import link_mongodb
from fixtures.redis_installation import VERSIONS


@pytest.fixture(scope="module")
def installation(valkey_path: str) -> Iterator[DrillInstallation]:
    with installation_home() as home:
        (home / "files").mkdir(mode=0o755)
        link_mongodb(home / "tools")
        environment = {
            "PATH": valkey_path,
            "HOLDFAST_SQLITE_ROOTS": str(home / "files"),
            "HOLDFAST_TOOLS_DIR": str(home / "tools"),
        }
        with running(DrillInstallation(home, environment)) as installation:
            installation.api.post("/projects", {"name": "Drills"})
            yield installation


def postgres(installation: DrillInstallation) -> str:
    addon = installation.manage("drills", fresh("Pg"))
    installation.sql(
        "CREATE TABLE orders (id serial PRIMARY KEY, at timestamptz DEFAULT now(), note text);"
        " INSERT INTO orders (note) SELECT 'n' || n FROM generate_series(1, 2000) n;"
        " CREATE INDEX ON orders (note); CREATE VIEW newest AS SELECT max(at) FROM orders",
        addon,
    )
    return addon


def mariadb(installation: DrillInstallation) -> str:
    addon = installation.manage("drills", fresh("My"), type="mysql", version="latest")
    secrets = installation.api.get(f"{addon}/credentials").data["secrets"]
    parts = urlsplit(str(secrets["MYSQL_URI"]))
    connection = pymysql.connect(
        host="127.0.0.1",
        port=parts.port or 0,
        user=secrets["USERNAME"],
        password=secrets["PASSWORD"],
        database=parts.path.strip("/"),
        autocommit=True,
    )
    with connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE orders (id int auto_increment PRIMARY KEY, note text)")
        cursor.executemany("INSERT INTO orders (note) VALUES (%s)", [(f"n{n}",) for n in range(99)])
    return addon


def redis(installation: DrillInstallation) -> str:
    addon = installation.manage("drills", fresh("Re"), type="redis", version=VERSIONS["valkey"])
    with installation.redis(addon) as client:
        client.set("orders", "2000")
    return addon


def sqlite(installation: DrillInstallation) -> str:
    path = installation.home / "files" / f"{fresh('file')}.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE orders (id integer PRIMARY KEY, note text)")
        connection.executemany(
            "INSERT INTO orders (note) VALUES (?)", [(f"n{n}",) for n in range(99)]
        )
    connection.close()
    body = {"name": fresh("File"), "type": "sqlite", "connectionString": f"sqlite://{path}"}
    made = installation.api.post("/projects/drills/addons", body).data["id"]
    return f"/projects/drills/addons/{made}"


def mongodb(installation: DrillInstallation) -> str:
    body = {"type": "mongodb", "version": "6.0-latest"}
    addon = installation.manage("drills", fresh("Mo"), **body)
    secrets = installation.api.get(f"{addon}/credentials").data["secrets"]
    with pymongo.MongoClient[dict[str, int]](secrets["MONGO_SRV"]) as client:
        orders = client.get_default_database().orders
        orders.insert_many([{"_id": number} for number in range(500)])
        orders.create_index("paid")
    return addon


CASES: list[tuple[Callable[[DrillInstallation], str], str]] = [
    (postgres, "dump"),
    (postgres, "snapshot"),
    (mariadb, "dump"),
    (mariadb, "snapshot"),
    (redis, "snapshot"),
    (sqlite, "dump"),
    (sqlite, "snapshot"),
    (mongodb, "dump"),
    (mongodb, "snapshot"),
]
FAST = [
    (postgres, "dump"),
    (mariadb, "snapshot"),
    (redis, "snapshot"),
    (sqlite, "dump"),
    (mongodb, "dump"),
]
"""What every run proves; the slow one proves the rest."""


@pytest.mark.parametrize(
    ("make", "kind"),
    [
        pytest.param(
            make,
            kind,
            id=f"{make.__name__}-{kind}",
            marks=() if (make, kind) in FAST else pytest.mark.slow,
        )
        for make, kind in CASES
    ],
)
def test_a_good_backup_passes_and_nothing_stays(
    installation: DrillInstallation, make: Callable[[DrillInstallation], str], kind: str
) -> None:
    addon = make(installation)
    backup = installation.backup(addon, backupType=kind)
    drill = installation.drill(addon, backup)
    assert (drill["status"], drill.get("verdict")) == ("completed", "passed"), installation.told(
        drill, addon
    )
    assert {finding["verdict"] for finding in drill["findings"]} == {"passed"}
    assert drill["seconds"]["restore"] >= drill["seconds"]["load"] > 0
    assert drill["seconds"]["predicted"] >= drill["seconds"]["restore"]
    compared = any(finding["name"].startswith("the content") for finding in drill["findings"])
    assert compared == (kind == "dump")
    assert installation.throwaways() == []
    assert installation.processes_of_drills() == []
    shown = installation.api.get(f"{addon}/protection").data
    assert shown["provenAt"] == drill["completedAt"]
    assert shown["proofSeconds"] == pytest.approx(drill["seconds"]["restore"])
