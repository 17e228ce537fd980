"""Imports, and uploads of the files they are made of.

An upload goes part by part; each says where it belongs, so one that was sent twice is there once,
and a broken connection costs no more than a part.
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

_TRIES = 8
_LONGEST_PAUSE = 30.0
_READ = 1 << 20

Listener = Callable[[int], None]


class Imports(Noun[R]):
    @call
    def create(self, project: str, addon: str, body: Body) -> Steps[Backup]:
        """Body: one of `connectionString` (with `importAllDatabases`), `importUrl` and `uploadId`;
        `name`, `compressionType` and `customDestinationId` besides. Returns what it becomes."""
        path = path_of("projects", project, "addons", addon, "import")
        return parsed(Backup, (yield from post(path, body)))

    @call
    def begin(self, project: str, addon: str, file: Path) -> Steps[Upload]:
        """Announces a file with its size and digest, for which it is read once."""
        announced = {"size": file.stat().st_size, "sha256": _sha256(file)}
        path = path_of("projects", project, "addons", addon, "uploads")
        return parsed(Upload, (yield from post(path, announced)))

    @call
    def send(
        self, project: str, addon: str, upload: str, file: Path, listener: Listener
    ) -> Steps[Upload]:
        """Sends what has not arrived yet: all of it, or the rest after a broken connection.

        `listener` hears how many bytes have arrived.
        """
        path = path_of("projects", project, "addons", addon, "uploads", upload)
        state = parsed(Upload, (yield from get(path)))
        with file.open("rb") as source:
            while state.received < file.stat().st_size:
                listener(state.received)
                state = yield from _sent(path, state, source)
        listener(state.received)
        return state


def _sent(path: str, state: Upload, source: BinaryIO) -> Steps[Upload]:
    """One part; after a broken connection the server says how far it has come."""
    source.seek(state.received)
    part, where = source.read(state.part_size), {"offset": state.received}
    for attempt in range(1, _TRIES + 1):
        try:
            sent = yield from ask(Request("PUT", f"{path}/content", where, content=part))
            return parsed(Upload, sent.data)
        except Unreachable:
            if attempt == _TRIES:
                raise
        yield Pause(min(0.5 * 2**attempt, _LONGEST_PAUSE))
    raise AssertionError("the last attempt returns or raises")


def _sha256(file: Path) -> str:
    digest = hashlib.sha256()
    with file.open("rb") as source:
        while chunk := source.read(_READ):
            digest.update(chunk)
    return digest.hexdigest()
