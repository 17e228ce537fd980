"""Unlocks a server whose snapshot has died or takes too long. A program of its own.

`fsyncLock` outlives the client that asked for it, and all writes wait until it is undone. So this
process is started first, in a session of its own: it ends when it is killed by the snapshot that
has unlocked the server itself. It imports nothing of Holdfast, to start fast.
"""

import contextlib
import json
import os
import select

from pymongo import MongoClient
from pymongo.errors import PyMongoError

SETTINGS = "HOLDFAST_UNLOCK"
READY = b"ready\n"


def main() -> None:
    """The settings are JSON: `pid` to watch, `seconds` at most, and how to reach the server."""
    settings = json.loads(os.environ.pop(SETTINGS))  # noqa: TID251 - a program of its own
    os.write(1, READY)
    with contextlib.suppress(ProcessLookupError):  # it is dead already
        watched = os.pidfd_open(settings["pid"])
        select.select([watched], [], [], settings["seconds"])
    with contextlib.suppress(PyMongoError):  # it is not locked, or has ended
        client: MongoClient[dict[str, object]] = MongoClient(
            settings["host"],
            settings["port"],
            username=settings["user"],
            password=settings["password"],
            directConnection=True,
        )
        while client.admin.command("fsyncUnlock").get("lockCount"):
            pass


if __name__ == "__main__":
    main()
