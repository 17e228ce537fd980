"""Serves the files that pages load: hashed names, so that they never change, gzipped ahead."""

import gzip
import hashlib
import mimetypes
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

PREFIX = "/static/"
_FOREVER = "public, max-age=31536000, immutable"
_DIRECTORY = Path(__file__).parent / "static"
_SUFFIXES = (".css", ".js", ".svg")


@dataclass(frozen=True)
class File:
    """One file: `name` has a part of its digest, so that another content has another name."""

    name: str
    media_type: str
    content: bytes
    zipped: bytes


class StaticFiles:
    """All files, read once: they are few, and small."""

    @cached_property
    def _by_name(self) -> dict[str, File]:
        files = [
            _file_of(path) for path in sorted(_DIRECTORY.rglob("*")) if path.suffix in _SUFFIXES
        ]
        return {file.name: file for file in files}

    @cached_property
    def _urls(self) -> dict[str, str]:
        """The address of each file by its path below the directory."""
        return {_plain_name(name): f"{PREFIX}{name}" for name in self._by_name}

    def url(self, name: str) -> str:
        """The address of `app.css`. KeyError for a file that is not there."""
        return self._urls[name]

    async def serve(self, request: Request) -> Response:
        file = self._by_name.get(request.path_params["name"])
        if file is None:
            return Response("there is no such file\n", status_code=404, media_type="text/plain")
        headers = {"cache-control": _FOREVER, "vary": "accept-encoding"}
        if "gzip" in request.headers.get("accept-encoding", ""):
            headers["content-encoding"] = "gzip"
            return Response(file.zipped, headers=headers, media_type=file.media_type)
        return Response(file.content, headers=headers, media_type=file.media_type)


def _file_of(path: Path) -> File:
    content = path.read_bytes()
    digest = hashlib.sha256(content).hexdigest()[:12]
    name = path.relative_to(_DIRECTORY).with_name(f"{path.stem}.{digest}{path.suffix}")
    media_type = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    return File(str(name), media_type, content, gzip.compress(content, 9, mtime=0))


def _plain_name(name: str) -> str:
    stem, _, suffix = name.rpartition(".")
    return f"{stem.rpartition('.')[0]}.{suffix}"
