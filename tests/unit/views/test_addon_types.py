"""What an addon type claims of a machine: what runs with the programs that are there."""

from pathlib import Path

import pytest

from holdfast.engines import mysql, postgresql, redis
from holdfast.engines.mysql import tools as mysql_tools
from holdfast.engines.postgresql import tools as postgresql_tools
from holdfast.engines.redis import tools as redis_tools
from holdfast.views.addon_shapes import AddonType
from holdfast.views.addons import addon_type

POSTGRES = Path("/usr/lib/postgresql/15/bin")
CLIENTS = ("pg_dump", "pg_dumpall", "pg_restore")


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a machine without any programs would have them."""
    found = tmp_path / "15" / "bin"
    found.mkdir(parents=True)
    monkeypatch.setattr(postgresql_tools, "_DEBIAN", tmp_path)
    monkeypatch.setattr(mysql_tools, "_PLACES", (str(found),))
    monkeypatch.setattr(redis_tools, "_SYSTEM", (found,))
    for each in (postgresql_tools, mysql_tools, redis_tools):
        monkeypatch.setattr(each, "which", lambda _: None)
    return found


def claims(kind: AddonType) -> dict[str, bool]:
    features = kind.features
    return {
        "dumps": features.backups_dump,
        "snapshots": features.backups_snapshot,
        "files": features.import_dump,
        "live": features.import_live,
        "managed": features.managed,
        "forks": features.fork_addon,
    }


NOTHING = dict.fromkeys(("dumps", "files", "live", "managed", "forks"), False)


@pytest.mark.parametrize(
    ("engine", "snapshots", "remedy"),
    [
        (postgresql, True, "apt-get install postgresql"),
        (mysql, False, "apt-get install mariadb-server"),
        (redis, True, "apt-get install redis-server"),
    ],
)
def test_without_programs_it_says_what_to_install(
    place: Path, engine: object, snapshots: bool, remedy: str
) -> None:
    """Snapshots over the replication protocol want none, and neither do files of Redis."""
    kind = addon_type(engine.create(place.parent / "none"))  # type: ignore[attr-defined]
    wanted = {**NOTHING, "snapshots": snapshots, "files": engine is redis}
    assert (kind.versions, claims(kind)) == ([], wanted)
    assert kind.missing is not None
    assert kind.missing.startswith(f"no programs are installed: {remedy}")


@pytest.mark.parametrize(
    ("engine", "programs"),
    [
        (postgresql, [POSTGRES / name for name in CLIENTS]),
        (mysql, [Path("/usr/bin/mariadb-dump"), Path("/usr/bin/mariadb")]),
    ],
)
def test_clients_alone_dump_and_load_and_run_nothing(
    place: Path, engine: object, programs: list[Path]
) -> None:
    for program in programs:
        (place / program.name).symlink_to(program)
    kind = addon_type(engine.create(place.parent / "none"))  # type: ignore[attr-defined]
    able = {"dumps": True, "files": True, "live": True, "snapshots": engine is postgresql}
    assert (kind.versions, claims(kind)) == ([], {**NOTHING, **able})
    assert kind.missing is not None
    assert kind.missing.startswith("no server programs are installed")


def test_with_servers_nothing_is_missing(place: Path) -> None:
    for name in (*CLIENTS, "postgres", "initdb"):
        (place / name).symlink_to(POSTGRES / name)
    kind = addon_type(postgresql.create(place.parent / "none"))
    assert (kind.major, kind.missing) == (["15"], None)
    assert all(claims(kind).values())
