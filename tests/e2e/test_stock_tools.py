"""A dump opens without Holdfast: the shell lines of docs/formats/dump.md, run as printed."""

import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from fixtures.holdfast import Server, await_backup
from fixtures.postgres import PostgresServer, ServerFactory, url_of

DOCUMENT = Path(__file__).parents[2] / "docs" / "formats" / "dump.md"
ROWS = 5000


def printed_lines(compression: str) -> str:
    """The first `sh` block, with the alternatives that its comments name taken for gz."""
    block = re.search(r"```sh\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    assert block is not None
    lines = block.group(1).splitlines()
    assert len(lines) == 3
    if compression == "gz":
        lines[0] = lines[0].partition("or: ")[2]
    return "\n".join(line.partition("#")[0] for line in lines)


@pytest.mark.parametrize("compression", ["gz", "zstd"])
def test_the_documented_lines_open_a_dump(
    server: Server,
    start_postgres: Callable[[int, str], PostgresServer],
    blank_server: ServerFactory,
    tmp_path: Path,
    compression: str,
) -> None:
    api = server.api()
    source = start_postgres(15, "stock")
    source.execute("DROP DATABASE IF EXISTS shop")
    source.execute("CREATE DATABASE shop")
    source.execute(
        f"CREATE TABLE goods AS SELECT g, md5(g::text) FROM generate_series(1, {ROWS}) g", "shop"
    )
    project, addon = api.project(), "stock"
    body = {"name": "Stock", "type": "postgresql", "connectionString": url_of(source, "shop")}
    assert api.post(f"/projects/{project}/addons", body).data["id"] == addon
    path = f"/projects/{project}/addons/{addon}/backups"
    body = {"name": "stock", "backupType": "dump", "compressionType": compression}
    api.post(path, body)
    await_backup(api, f"{path}/stock")
    [stored] = (server.data_dir / "store" / "dumps" / project / addon).glob("*/*")
    for file in stored.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())

    target = blank_server(15)
    tools = next(t.directory for t in target.engine.tools() if t.major == 15)
    environment = {
        **os.environ,
        "PATH": f"{tools}:{os.environ['PATH']}",
        "PGHOST": "127.0.0.1",
        "PGPORT": str(target.address.port),
        "PGUSER": target.address.user,
        "PGPASSWORD": target.address.password.reveal(),
    }
    done = subprocess.run(
        ["bash", "-e", "-c", printed_lines(compression)],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert target.execute("SELECT count(*), count(DISTINCT md5) FROM goods", "shop") == [
        (ROWS, ROWS)
    ]
