"""Calls for imports, and for uploads of files to import.

An upload goes part by part, each with its offset, so a part that was sent twice is stored once, and
a broken connection costs no more than a part.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from holdfast.client.models.models import Backup, Upload
from holdfast.client.transport.calls import Noun, Pause, R, Steps, ask, call, get, post
from holdfast.client.transport.errors import Unreachable
from holdfast.client.transport.parse import parsed
from holdfast.client.transport.transport import Body, Request, path_of

_MAX_ATTEMPTS = 8
_MAX_PAUSE_SECONDS = 30.0
_CHUNK_BYTES = 1 << 20

Listener = Callable[[int], None]


class Imports(Noun[R]):
    @call
    def create(self, project: str, addon: str, body: Body) -> Steps[Backup]:
        """Body: one of `connectionString` (with `importAllDatabases`), `importUrl` and `uploadId`;
        optional `name`, `compressionType` and `customDestinationId`. Returns the new backup."""
        path = path_of("projects", project, "addons", addon, "import")
        return parsed(Backup, (yield from post(path, body)))

    @call
    def begin(self, project: str, addon: str, file: Path) -> Steps[Upload]:
        """Announces a file with its size and digest, for which it is read once."""
        digest = hashlib.sha256()
        with file.open("rb") as source:
            while chunk := source.read(_CHUNK_BYTES):
                digest.update(chunk)
        announced = {"size": file.stat().st_size, "sha256": digest.hexdigest()}
        path = path_of("projects", project, "addons", addon, "uploads")
        return parsed(Upload, (yield from post(path, announced)))

    @call
    def send(
        self, project: str, addon: str, upload: str, file: Path, listener: Listener
    ) -> Steps[Upload]:
        """Sends the bytes that have not arrived: all, or the rest after a broken connection.

        `listener` is called with the bytes that have arrived.
        """
        path = path_of("projects", project, "addons", addon, "uploads", upload)
        state = parsed(Upload, (yield from get(path)))
        with file.open("rb") as source:
            while state.received < file.stat().st_size:
                listener(state.received)
                state = yield from _send_part(path, state, source)
        listener(state.received)
        return state


def _send_part(path: str, state: Upload, source: BinaryIO) -> Steps[Upload]:
    """Sends one part, again after a broken connection; returns the server's state."""
    source.seek(state.received)
    part, params = source.read(state.part_size), {"offset": state.received}
    for attempt in range(1, _MAX_ATTEMPTS + 1):
        try:
            sent = yield from ask(Request("PUT", f"{path}/content", params, content=part))
            return parsed(Upload, sent.data)
        except Unreachable:
            if attempt == _MAX_ATTEMPTS:
                raise
        yield Pause(min(0.5 * 2**attempt, _MAX_PAUSE_SECONDS))
    raise AssertionError("the last attempt returns or raises")
