"""Slow callers take no memory: uploads that trickle, bodies before a token, downloads unread."""

import os
import socket
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from fixtures.connecting import opened
from fixtures.holdfast import Server, await_backup, await_that, fresh
from holdfast.api.v1.backups.imports import MAX_PART_BYTES

MB = 1_000_000
SLOW = 16
ALLOWED = 100 * MB
"""Kept whole, what the callers below send or ask for would be 260 MB and more."""


def resident(server: Server) -> int:
    for line in Path(f"/proc/{server.child.pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise LookupError("VmRSS")


@pytest.fixture
def roomy(started: Callable[..., Server], tmp_path: Path) -> tuple[Server, str]:
    """A server, and the path of an addon whose dump has 20 MB that nothing makes smaller."""
    files = tmp_path / "files"
    files.mkdir()
    server = started(sqlite_roots=str(files))
    with closing(sqlite3.connect(files / "big.db", isolation_level=None)) as session:
        session.execute("CREATE TABLE noise (b BLOB)")
        for _ in range(20):
            session.execute("INSERT INTO noise VALUES (?)", [os.urandom(MB)])
    api = server.api()
    project = api.project()
    body = {"name": fresh("Big"), "type": "sqlite", "connectionString": f"sqlite://{files}/big.db"}
    addon = api.post(f"/projects/{project}/addons", body).data["id"]
    return server, f"/projects/{project}/addons/{addon}"


@contextmanager
def sending(server: Server, head: str, size: int, sent: int) -> Iterator[socket.socket]:
    """A request whose body of `size` bytes has come as far as `sent`."""
    with opened(server.url) as connection:
        connection.sendall(f"{head}\r\nHost: x\r\nContent-Length: {size}\r\n\r\n".encode())
        connection.sendall(bytes(sent))
        yield connection


def test_parts_of_uploads_that_come_slowly_wait_on_disk(roomy: tuple[Server, str]) -> None:
    server, addon = roomy
    api = server.api()
    uploads = [api.post(f"{addon}/uploads", {"size": MAX_PART_BYTES + n}) for n in range(SLOW)]
    before = resident(server)
    with ExitStack() as stack:
        connections = []
        for upload in uploads:
            path = f"/v1{addon}/uploads/{upload.data['id']}/content?offset=0"
            head = f"PUT {path} HTTP/1.1\r\nAuthorization: Bearer {server.token}"
            one = sending(server, head, MAX_PART_BYTES, MAX_PART_BYTES - 1)
            connections.append(stack.enter_context(one))
        await_that(lambda: api.get("/login").status == 200)
        assert resident(server) - before < ALLOWED
        for connection in connections:
            connection.sendall(b"x")
        for connection in connections:
            assert b" 200 OK" in connection.recv(65536)
        assert resident(server) - before < ALLOWED
    for upload in uploads:
        told = api.get(f"{addon}/uploads/{upload.data['id']}").data
        assert told["received"] == MAX_PART_BYTES


def test_large_bodies_without_a_token_wait_their_turn(roomy: tuple[Server, str]) -> None:
    server, _ = roomy
    before = resident(server)
    head = f"POST /v1/projects HTTP/1.1\r\nHost: x\r\nContent-Length: {MB}\r\n\r\n".encode()
    with ExitStack() as stack:
        waiting = {
            stack.enter_context(opened(server.url)): head + bytes(MB - 1) for _ in range(300)
        }
        for connection in waiting:
            connection.setblocking(False)
        for _ in range(40):  # as much as it takes
            for connection, rest in waiting.items():
                with suppress(BlockingIOError):
                    waiting[connection] = rest[connection.send(rest[: 1 << 18]) :]
            assert server.api().get("/login").status == 200
        assert resident(server) - before < ALLOWED


def test_downloads_that_nobody_reads_wait_in_the_store(roomy: tuple[Server, str]) -> None:
    server, addon = roomy
    api = server.api()
    made = api.post(f"{addon}/backups", {"name": "Big", "backupType": "dump"}).data["id"]
    await_backup(api, f"{addon}/backups/{made}")
    link = urlsplit(api.get(f"{addon}/backups/{made}/download-link").data["downloadLink"])
    before = resident(server)
    with ExitStack() as stack:
        readers = [stack.enter_context(opened(server.url)) for _ in range(SLOW)]
        for reader in readers:
            reader.sendall(f"GET {link.path}?{link.query} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        for reader in readers:
            assert b" 200 OK" in reader.recv(1000)
        assert api.get("/login").status == 200
        assert resident(server) - before < ALLOWED
        assert _length(readers[0]) > 20 * MB


def _length(reader: socket.socket) -> int:
    """Reads on: it was only waiting."""
    count = 0
    while count <= 20 * MB:
        data = reader.recv(1 << 20)
        assert data, "the download ended early"
        count += len(data)
    return count
