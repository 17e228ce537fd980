"""The stock tools open our archives, and we import theirs.

No package registry has `mongodump` and `mongorestore`: these tests run where they are on the PATH.
"""

import shutil
import subprocess
import tarfile
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from fixtures.mongodb import MongoServer
from fixtures.mongodb_data import differences, fill, fingerprint, leftovers
from fixtures.mongodb_dumps import import_file, take

pytestmark = pytest.mark.skipif(
    not (shutil.which("mongodump") and shutil.which("mongorestore")),
    reason="mongodump and mongorestore are not on the PATH",
)


def stock(tool: str, server: MongoServer, *options: str, body: bytes = b"") -> bytes:
    words: Sequence[str] = (tool, "--quiet", f"--uri={server.url}", *options)
    return subprocess.run(words, input=body, stdout=subprocess.PIPE, check=True).stdout


def test_the_stock_tool_restores_our_archives(
    mongodb: MongoServer, other_mongodb: MongoServer
) -> None:
    client = mongodb.client()
    fill(client, orders=40)
    before, taken = fingerprint(client), take(mongodb.address)
    for name in ("accounts.archive", "databases.archive"):
        more = ("--bypassDocumentValidation",) if name.startswith("data") else ()
        stock("mongorestore", other_mongodb, "--archive", *more, body=taken.bodies[name])
    assert differences(comparable(before), comparable(fingerprint(other_mongodb.client()))) == []


def comparable(state: dict[str, Any]) -> dict[str, Any]:
    """Without zero timestamps, which the stock tool loses to the server's clock."""
    return {key: value for key, value in state.items() if key != "data odd-Names.raw"}


@pytest.mark.parametrize("form", ["archive", "directory", "directory --gzip"])
def test_dumps_of_the_stock_tool_come_in(
    mongodb: MongoServer, other_mongodb: MongoServer, form: str, tmp_path: Path
) -> None:
    client = mongodb.client()
    fill(client, orders=40, users=False)
    before = fingerprint(client)
    options = ["--gzip"] if form == "directory --gzip" else []
    if form.startswith("archive"):
        body = stock("mongodump", mongodb, "--archive", *options)
    else:
        stock("mongodump", mongodb, f"--out={tmp_path / 'dump'}", *options)
        packed = BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as tar:
            tar.add(tmp_path / "dump", "dump")
        body = packed.getvalue()
    import_file(other_mongodb.address, body)
    target = other_mongodb.client()
    before = {key: value for key, value in before.items() if not key.endswith("system.js")}
    assert differences(before, fingerprint(target)) == []
    assert leftovers(target) == []
