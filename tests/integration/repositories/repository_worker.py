"""A program to be killed: writes snapshots, forgets and prunes, on and on.

`repository_worker.py DIRECTORY SEED`, the password in PASSWORD; says a line for each thing done.
"""

import os
import random
import sys
import time
from pathlib import Path

from holdfast.kit.seal import Secret
from holdfast.repositories.restic.format.snapshot import Snapshot
from holdfast.repositories.restic.locks import exclusively, shared
from holdfast.repositories.restic.repository import open_repository
from holdfast.repositories.restic.upkeep.pruning import prune
from holdfast.repositories.restic.write.writing import SnapshotWriter
from holdfast.stores.local.driver import LocalStore
from holdfast.stores.local.options import Options


def main(directory: str, seed: int) -> None:
    chance = random.Random(seed)
    store = LocalStore(Options(directory=Path(directory)))
    repository = open_repository(store, "r/", Secret(os.environ["PASSWORD"]))
    print("open", flush=True)
    while True:
        repository.reload()
        with shared(repository, time.time_ns()):
            writer = SnapshotWriter(repository, 8192)
            file = writer.file(b"f", 0o600, 0)
            for _ in range(400):
                file.write(random.Random(chance.randrange(600)).randbytes(8192))
            file.close()
            name = repository.keep(Snapshot(time.time_ns(), writer.flush(), "h", ["/"], ["worker"]))
            print("kept", name, flush=True)
        mine = [each for each in repository.snapshots() if "worker" in each.tags]
        if len(mine) > 2:
            with exclusively(repository, time.time_ns()):
                repository.forget(mine[0].id)
                prune(repository, lambda _: None)
                print("pruned", flush=True)


main(sys.argv[1], int(sys.argv[2]))
