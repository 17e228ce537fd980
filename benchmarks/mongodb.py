"""MongoDB's part of `make bench-engines`: against mongodump and mongorestore, where they are.

No registry has the stock tools. Without them our own seconds are shown beside the ratios that were
recorded against 100.13.0, on 800 MB for the backup and 352 MB with nine indexes for the restore.
"""

import shutil
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pymongo

from benchmarks.contest import STOCK, Ours, Work, shell, started
from holdfast.contracts.local_servers import LocalServer
from holdfast.engines.mongodb import create
from holdfast.engines.mongodb.hosting import server

SERVER = "6.0.5"
TOOLS = Path("/var/tmp/holdfast-benchmarks")  # the user that servers run as may go there
RECORDED: Mapping[str, str] = {
    "backup": "6.40 s to 6.32 s of `mongodump | zstd -3 -T2`, ratio 1.01, with 7.1 to 8.4 s of CPU",
    "restore": "23.2 s to 26.6 s of `mongorestore`, ratio 0.87",
}
_BATCH_DOCUMENTS = 10_000


@contextmanager
def mongodb(home: Path, rows: int) -> Generator[Work]:
    """Documents of about 450 bytes with two secondary indexes."""
    home.chmod(0o711)
    engine = create(TOOLS)
    if SERVER not in engine.versions():
        engine.install(SERVER)
    places = [started(engine, home / name, SERVER) for name in ("full", "empty")]
    try:
        fill(places[0], rows)
        addresses = [server.address(place) for place in places]
        ours = Ours(engine, home, addresses[0], addresses[1])
        work: Work = {"backup: ours": ours.backup}
        if shutil.which("mongodump"):
            uris = [uri(place) for place in places]
            work = {
                "backup: stock": lambda: shell(
                    home, f"mongodump --quiet --uri={uris[0]} --archive | {STOCK}"
                ),
                **work,
                "restore: stock": lambda: shell(
                    home,
                    "zstd -dc stock.zst | mongorestore --quiet --drop --archive"
                    f" --nsInclude='main.*' --uri={uris[1]}",
                ),
            }
        yield {**work, "restore: ours": ours.restore, "restore after the swap": ours.afterwards}
    finally:
        for place in places:
            engine.stop(place)


def uri(place: LocalServer) -> str:
    user, password = place.user, place.password.reveal()
    return f"mongodb://{user}:{password}@127.0.0.1:{place.port}/?authSource=admin"


def fill(place: LocalServer, rows: int) -> None:
    with pymongo.MongoClient(uri(place), directConnection=True) as client:
        events = client.main.events
        for first in range(0, rows, _BATCH_DOCUMENTS):
            events.insert_many(
                {
                    "_id": number,
                    "customer": number % 9973,
                    "state": ("new", "paid", "sent")[number % 3],
                    "total": number * 0.01,
                    "text": f"{number:x} of {rows} " * 22,
                    "tags": [number % 7, number % 11],
                }
                for number in range(first, min(first + _BATCH_DOCUMENTS, rows))
            )
        events.create_index([("customer", 1), ("total", -1)])
        events.create_index("state")
