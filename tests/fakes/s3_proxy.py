"""A proxy before a real S3 service that fails where a test wants it to.

Requests pass unchanged, host name included, so their signatures still hold behind it.
"""

import http.client
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

REFUSALS = {
    "SlowDown": 503,
    "AccessDenied": 403,
    "QuotaExceeded": 403,
    "InsufficientStorage": 507,
}


@dataclass
class Fault:
    """On requests matching `where` (`PUT /bucket/key?partNumber=2`), `times` times: `what`.

    An S3 error code is answered; `drop` closes the connection unanswered, `lose` only after the
    service did what was asked, `cut` in the middle of the answer; `corrupt` changes the body.
    """

    where: str
    what: str
    times: int = 1


@dataclass
class Proxy:
    endpoint: str
    faults: list[Fault] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, request: str) -> str:
        with self.lock:
            self.seen.append(request)
            for fault in self.faults:
                if fault.times > 0 and re.search(fault.where, request):
                    fault.times -= 1
                    return fault.what
        return ""

    def unused(self) -> list[Fault]:
        return [fault for fault in self.faults if 0 < fault.times < 1000]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Any

    def relay(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        what = self.server.proxy.take(f"{self.command} {self.path}")
        if what in REFUSALS:
            text = f"<Error><Code>{what}</Code></Error>".encode()
            self.answer(REFUSALS[what], [("Content-Type", "application/xml")], text)
            return
        if what == "drop":
            self.hang_up()
            return
        status, headers, content = self.upstream(body[::-1] if what == "corrupt" else body)
        if what == "lose":
            self.hang_up()
            return
        kept = content[: len(content) // 2] if what == "cut" else content
        self.answer(status, headers, kept, length=len(content))
        if what == "cut":
            self.hang_up()

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = relay  # noqa: N815 - the base class's names

    def upstream(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        connection = http.client.HTTPConnection(self.server.upstream, timeout=60)
        connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():
            if name.lower() != "expect":
                connection.putheader(name, value)
        connection.endheaders(body)
        response = connection.getresponse()
        content = response.read()
        connection.close()
        return response.status, response.getheaders(), content

    def answer(
        self, status: int, headers: list[tuple[str, str]], content: bytes, length: int = -1
    ) -> None:
        self.send_response_only(status)
        for name, value in headers:
            if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                self.send_header(name, value)
        given = dict(headers).get("Content-Length") if self.command == "HEAD" else None
        self.send_header("Content-Length", given or str(max(length, len(content))))
        self.end_headers()
        self.wfile.write(content)

    def hang_up(self) -> None:
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Quiet."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no news here."""


@contextmanager
def proxy_to(endpoint: str) -> Iterator[Proxy]:
    server: Any = _Server(("127.0.0.1", 0), _Handler)
    server.upstream = endpoint.removeprefix("http://")
    server.proxy = Proxy(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield server.proxy
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
