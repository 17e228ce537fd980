"""A command that asks a server starts without loading one."""

import json
import subprocess
import sys

import pytest

from holdfast.cli.machine.local import LOCAL, local

HEAVY = ["boto3", "dbos", "fastapi", "psycopg", "sqlalchemy", "uvicorn", "holdfast.bootstrap"]
LOADED = """
import json, sys
from holdfast.cli.main import main
try:
    main({words!r})
except SystemExit:
    pass
print(json.dumps(sorted(sys.modules)))
"""


@pytest.mark.parametrize("words", [["version"], ["--help"], ["serve", "--help"], ["addon", "list"]])
def test_nothing_of_the_server_is_loaded(words: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LOADED.format(words=words)],
        check=True,
        capture_output=True,
        timeout=30,
    )
    loaded = json.loads(done.stdout.splitlines()[-1])
    assert "holdfast.cli.addon.addon" in loaded
    assert [name for name in HEAVY if name in loaded] == []


@pytest.mark.parametrize("name", LOCAL)
def test_what_is_loaded_later_is_there(name: str) -> None:
    assert callable(local(name))
