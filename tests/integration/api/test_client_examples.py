"""The examples of the Python client's documentation, run as printed, one after the other."""

import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from fixtures.fuzzed import Fuzzed

DOCUMENT = Path(__file__).parents[3] / "docs" / "client.md"
EXAMPLES = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
SAY = [
    ("completed ",),
    ("before-release completed ",),
    ("there is no backup 'no-such'", "{'backupType':"),
    ("True ", "completed", " completed"),
    ("completed\ncompleted\n", "shop"),
]
"""What each of them prints, among other things."""


@pytest.fixture(scope="module")
def shop(fuzzed: Fuzzed) -> dict[str, str]:
    """The project and addon that the examples speak of; where they are, and the token."""
    api, file = fuzzed.server.api(), fuzzed.home / "orders.db"
    with closing(sqlite3.connect(file)) as database:
        database.execute("CREATE TABLE orders AS SELECT 1 AS id")
        database.commit()
    api.post("/projects", {"name": "shop"})
    body = {"name": "orders", "type": "sqlite", "connectionString": f"sqlite://{file}"}
    assert api.post("/projects/shop/addons", body).data["id"] == "orders"
    return {"HOLDFAST_HOST": fuzzed.server.url, "HOLDFAST_TOKEN": fuzzed.server.token}


def test_each_example_does_what_it_says(shop: dict[str, str]) -> None:
    assert len(EXAMPLES) == len(SAY)
    for example, said in zip(EXAMPLES, SAY, strict=True):
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", example],
            env=shop,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        for text in said:
            assert text in done.stdout, (example, done.stdout)
