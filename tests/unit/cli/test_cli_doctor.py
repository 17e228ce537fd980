"""`holdfast doctor`: a machine that has everything is well, and what another lacks is said."""

from pathlib import Path
from typing import Any

import pytest

from fixtures.http_api import Holdfast, Ran
from fixtures.programs import CLIENTS, POSTGRES

PROGRAMS = "server and client tools"


@pytest.fixture
def data_dir(tmp_path: Path) -> str:
    return str(tmp_path / "data")


def states(ran: Ran) -> dict[str, Any]:
    return {each["name"]: (each["state"], each["found"]) for each in ran.json}


def test_a_machine_with_every_engine_is_well(fresh_holdfast: Holdfast, data_dir: str) -> None:
    ran = fresh_holdfast("doctor", "--data-dir", data_dir, "-o", "json")
    found = states(ran)
    assert {name: state for name, (state, _) in found.items() if state != "ok"} == {}
    assert (ran.status, ran.err) == (0, "")
    for title in ("PostgreSQL", "MariaDB and MySQL", "Redis"):
        assert found[f"{title} {PROGRAMS}"][1][0].isdigit()
    assert found[f"MongoDB {PROGRAMS}"][1]  # dumps need none of its programs
    assert found["SQLite library"][1].startswith("3.")


@pytest.mark.usefixtures("no_programs")
def test_what_is_not_installed_is_named_with_how_to_get_it(
    fresh_holdfast: Holdfast, data_dir: str
) -> None:
    ran = fresh_holdfast("doctor", "--data-dir", data_dir, "-o", "json")
    missing = {name: found for name, (state, found) in states(ran).items() if state == "MISSING"}
    engines = ("MariaDB and MySQL", "PostgreSQL", "Redis")
    assert missing == {f"{title} {PROGRAMS}": "none" for title in engines}
    assert ran.status == 1
    assert f"PostgreSQL {PROGRAMS}: apt-get install postgresql" in ran.err


def test_clients_alone_are_shown_as_such(
    fresh_holdfast: Holdfast, data_dir: str, no_programs: Path
) -> None:
    for name in CLIENTS:
        (no_programs / name).symlink_to(POSTGRES / name)
    found = states(fresh_holdfast("doctor", "--data-dir", data_dir, "-o", "json"))
    state, text = found[f"PostgreSQL {PROGRAMS}"]
    assert state == "MISSING"
    assert text.startswith("clients only: 15.")


def test_a_data_directory_that_cannot_be_written_is_named(
    fresh_holdfast: Holdfast, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    ran = fresh_holdfast("doctor", "--data-dir", str(tmp_path / "file" / "data"), "-o", "json")
    assert ran.status == 1
    assert states(ran)["data directory"][0] == "MISSING"
