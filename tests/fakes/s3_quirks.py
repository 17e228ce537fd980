"""A small S3 service with the habits of some providers, in memory.

`equal`: all parts but the last have to be of one length. `few`: part numbers above 1,000 are
refused. `late`: so is an upload of more than 1,000 parts, but only when it is completed. `plain`:
checksum headers are refused. `md5`: an object without a Content-MD5 is. `versions`: a deletion
leaves a delete marker.
"""

import hashlib
import re
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

FEW = 1000
_VERBS = ("GET", "PUT", "POST", "HEAD", "DELETE")
_XML = "<?xml version='1.0'?>"
_ISO = "2026-01-01T00:00:00.000Z"


@dataclass
class Quirky:
    """What it holds, and what it was asked."""

    quirks: frozenset[str]
    endpoint: str = ""
    objects: dict[str, bytes] = field(default_factory=dict)
    uploads: dict[str, tuple[str, dict[int, bytes]]] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    most: int = 0
    """The largest part, in bytes."""

    def options(self, **more: Any) -> dict[str, Any]:
        return {
            "access_key": "k" * 20, "secret_key": "s" * 40, "bucket_name": "backups",
            "endpoint": self.endpoint, "attempts": 2, **more,
        }  # fmt: skip


class _Refused(Exception):
    def __init__(self, status: int, code: str) -> None:
        super().__init__(code)
        self.status, self.code = status, code


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    service: Quirky

    def log_message(self, *_: object) -> None:
        """Quiet."""

    def answer(self, status: int, body: bytes = b"", headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        if not headers or "Content-Length" not in headers:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def handle_request(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        url = urlsplit(self.path)
        query = {k: v[0] for k, v in parse_qs(url.query, keep_blank_values=True).items()}
        key = unquote(url.path).lstrip("/").partition("/")[2]
        self.service.requests.append(f"{self.command} {self.path}")
        try:
            self._require_headers(query)
            self._serve(key, query, body)
        except _Refused as refused:
            text = f"{_XML}<Error><Code>{refused.code}</Code></Error>"
            self.answer(refused.status, text.encode(), {"Content-Type": "application/xml"})

    def _require_headers(self, query: dict[str, str]) -> None:
        sums = [name for name in self.headers if name.lower().startswith("x-amz-checksum")]
        if sums and "plain" in self.service.quirks:
            raise _Refused(400, "InvalidArgument")
        wants_md5 = self.command == "PUT" and "md5" in self.service.quirks
        if wants_md5 and "Content-MD5" not in self.headers:
            raise _Refused(400, "InvalidRequest")

    def _serve(self, key: str, query: dict[str, str], body: bytes) -> None:
        if "uploads" in query or "uploadId" in query:
            self._upload(key, query, body)
        elif self.command == "GET" and not key:
            self._list(query.get("prefix", ""))
        elif self.command == "PUT":
            self.service.objects[key] = body
            self.answer(200, headers={"ETag": f'"{hashlib.md5(body).hexdigest()}"'})
        elif self.command == "DELETE":
            self.service.objects.pop(key, None)
            marker = "versions" in self.service.quirks
            self.answer(204, headers={"x-amz-delete-marker": "true"} if marker else {})
        elif key not in self.service.objects:
            raise _Refused(404, "NoSuchKey")
        else:
            self._read(self.service.objects[key])

    def _read(self, body: bytes) -> None:
        headers = {"ETag": '"x"', "Last-Modified": formatdate(0, usegmt=True)}
        span = re.match(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if span is None:
            self.answer(200, body, {**headers, "Content-Length": str(len(body))})
            return
        start, end = int(span[1]), min(int(span[2] or len(body)), len(body) - 1)
        if start >= len(body):
            raise _Refused(416, "InvalidRange")
        part = body[start : end + 1]
        self.answer(206, part, {**headers, "Content-Length": str(len(part))})

    def _list(self, prefix: str) -> None:
        found = "".join(
            f"<Contents><Key>{key}</Key><Size>{len(body)}</Size>"
            f"<LastModified>{_ISO}</LastModified></Contents>"
            for key, body in sorted(self.service.objects.items())
            if key.startswith(prefix)
        )
        text = f"<ListBucketResult><IsTruncated>false</IsTruncated>{found}</ListBucketResult>"
        self.answer(200, text.encode())

    def _upload(self, key: str, query: dict[str, str], body: bytes) -> None:
        uploads, upload = self.service.uploads, query.get("uploadId", "")
        if self.command == "GET":
            found = "".join(
                f"<Upload><Key>{name}</Key><UploadId>{each}</UploadId>"
                f"<Initiated>{_ISO}</Initiated></Upload>"
                for each, (name, _) in uploads.items()
                if name.startswith(query.get("prefix", ""))
            )
            text = f"<ListMultipartUploadsResult>{found}</ListMultipartUploadsResult>"
            self.answer(200, text.encode())
        elif "uploads" in query:
            made = uuid.uuid4().hex
            uploads[made] = (key, {})
            inside = f"<UploadId>{made}</UploadId>"
            text = f"<InitiateMultipartUploadResult>{inside}</InitiateMultipartUploadResult>"
            self.answer(200, text.encode())
        elif upload not in uploads:
            raise _Refused(404, "NoSuchUpload")
        elif self.command == "DELETE":
            del uploads[upload]
            self.answer(204)
        elif self.command == "PUT":
            self._part(uploads[upload][1], int(query["partNumber"]), body)
        else:
            self._complete(upload, [int(n) for n in re.findall(rb"<PartNumber>(\d+)", body)])

    def _part(self, parts: dict[int, bytes], number: int, body: bytes) -> None:
        if "few" in self.service.quirks and number > FEW:
            raise _Refused(400, "InvalidArgument")
        parts[number] = body
        self.service.most = max(self.service.most, len(body))
        self.answer(200, headers={"ETag": f'"{number}"'})

    def _complete(self, upload: str, numbers: list[int]) -> None:
        key, parts = self.service.uploads[upload]
        if "late" in self.service.quirks and len(numbers) > FEW:
            raise _Refused(400, "TooManyParts")
        if not parts.keys() >= set(numbers):
            raise _Refused(400, "InvalidPart")
        bodies = [parts[number] for number in numbers]
        sizes = {len(body) for body in bodies[:-1]}
        if "equal" in self.service.quirks and len(sizes) > 1:
            raise _Refused(400, "InvalidPart")
        self.service.objects[key] = b"".join(bodies)
        del self.service.uploads[upload]
        self.answer(200, b"<CompleteMultipartUploadResult></CompleteMultipartUploadResult>")


@contextmanager
def quirky(*quirks: str) -> Iterator[Quirky]:
    service = Quirky(frozenset(quirks))
    verbs = {f"do_{verb}": _Handler.handle_request for verb in _VERBS}
    handler = type("Handler", (_Handler,), {"service": service, **verbs})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    service.endpoint = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield service
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
