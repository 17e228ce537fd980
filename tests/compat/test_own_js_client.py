"""Our own JavaScript client: its tests against a running Holdfast, its types by the compiler."""

import os
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from fixtures.fuzzed import Fuzzed
from fixtures.official import install

CLIENT = Path(__file__).parents[2] / "clients" / "js"


def run(*words: str, **environment: str) -> None:
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    done = subprocess.run(
        words,
        cwd=CLIENT,
        env={**kept, **environment},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_its_own_tests_pass(fuzzed: Fuzzed) -> None:
    file = fuzzed.home / "js.db"
    with closing(sqlite3.connect(file)) as database:
        database.execute("CREATE TABLE things AS SELECT 1 AS id")
        database.commit()
    where = {"HOLDFAST_HOST": fuzzed.server.url, "HOLDFAST_TOKEN": fuzzed.server.token}
    run("npm", "test", **where, HOLDFAST_FILE=str(file))


@pytest.fixture(scope="module")
def compiler() -> None:
    install(CLIENT)


def test_its_types_hold(compiler: None) -> None:
    run("npm", "run", "--silent", "types")
