"""What an addon type claims of a machine: what runs with the programs that are there."""

from pathlib import Path

import pytest

from fixtures.programs import CLIENTS, POSTGRES, SERVER
from holdfast.engines import mysql, postgresql, redis
from holdfast.views.addons import addon_type
from holdfast.views.shapes.addons import AddonType


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
    no_programs: Path, engine: object, snapshots: bool, remedy: str
) -> None:
    """Snapshots over the replication protocol want none, and neither do files of Redis."""
    kind = addon_type(engine.create(no_programs.parent / "none"))  # type: ignore[attr-defined]
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
    no_programs: Path, engine: object, programs: list[Path]
) -> None:
    for program in programs:
        (no_programs / program.name).symlink_to(program)
    kind = addon_type(engine.create(no_programs.parent / "none"))  # type: ignore[attr-defined]
    able = {"dumps": True, "files": True, "live": True, "snapshots": engine is postgresql}
    assert (kind.versions, claims(kind)) == ([], {**NOTHING, **able})
    assert kind.missing is not None
    assert kind.missing.startswith("no server programs are installed")


def test_with_servers_nothing_is_missing(no_programs: Path) -> None:
    for name in (*CLIENTS, *SERVER):
        (no_programs / name).symlink_to(POSTGRES / name)
    kind = addon_type(postgresql.create(no_programs.parent / "none"))
    assert (kind.major, kind.missing) == (["15"], None)
    assert all(claims(kind).values())
