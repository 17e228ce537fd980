"""A real HTTP server that plays prepared answers and remembers what it was asked.

Answers queue per method and path; the last one stays. What nobody prepared is a 404 envelope.
"""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit


@dataclass(frozen=True)
class Asked:
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: str

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Reply:
    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    announced: int | None = None
    drop: bool = False


class ScriptedApi:
    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self._replies: dict[tuple[str, str], list[Reply]] = {}
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def data(self, method: str, path: str, data: object, **more: object) -> None:
        self._add(method, path, Reply(body=json.dumps({"data": data, **more}).encode()))

    def error(self, method: str, path: str, status: int, message: str, **more: object) -> None:
        error = {"status": status, "message": message, **more}
        headers = {"Retry-After": "1"} if status == 429 else {}
        self._add(method, path, Reply(status, json.dumps({"error": error}).encode(), headers))

    def raw(self, method: str, path: str, reply: Reply) -> None:
        self._add(method, path, reply)

    def drop(self, method: str, path: str) -> None:
        """The connection ends without an answer."""
        self._add(method, path, Reply(drop=True))

    def of(self, method: str, path: str) -> list[Asked]:
        return [asked for asked in self.asked if (asked.method, asked.path) == (method, path)]

    def _add(self, method: str, path: str, reply: Reply) -> None:
        self._replies.setdefault((method, path), []).append(reply)

    def reply_to(self, asked: Asked) -> Reply:
        self.asked.append(asked)
        queue = self._replies.get((asked.method, asked.path))
        if not queue:
            error = {"status": 404, "message": f"no route {asked.method} {asked.path}"}
            return Reply(404, json.dumps({"error": error}).encode())
        return queue.pop(0) if len(queue) > 1 else queue[0]

    @contextmanager
    def running(self) -> Iterator["ScriptedApi"]:
        thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            thread.join()
            self._server.server_close()


def _handler(api: ScriptedApi) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _serve(self) -> None:
            url = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("content-length") or 0)).decode()
            headers = {name.lower(): value for name, value in self.headers.items()}
            query = dict(parse_qsl(url.query))
            reply = api.reply_to(Asked(self.command, url.path, query, headers, body))
            if not reply.drop:
                self._send(reply)
            self.close_connection = reply.drop or reply.announced is not None

        def _send(self, reply: Reply) -> None:
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(reply.announced or len(reply.body)))
            self.end_headers()
            self.wfile.write(reply.body)

        def log_message(self, *_: object) -> None:
            pass

        do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = _serve  # noqa: N815 - http.server's names

    return Handler
