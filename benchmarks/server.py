"""A PostgreSQL server for a benchmark's catalogue, run as managed ones are: with fsync."""

import secrets
import socket
import subprocess
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from holdfast.contracts.engine import Hostable, Place
from holdfast.engines.registry import load_engine
from holdfast.kit.seal import Secret

_NAME = "holdfast"


@contextmanager
def catalogue_server(home: Path) -> Generator[str]:
    """The URL of an empty database."""
    engine = load_engine("postgresql", home / "tools")
    if not isinstance(engine, Hostable):
        raise TypeError("the engine cannot run servers")
    version = max(engine.versions(), key=lambda v: [int(part) for part in v.split(".")])
    password = secrets.token_hex(12)
    place = Place(home / "postgresql", _free_port(), version, _NAME, Secret(password), _NAME)
    engine.initialise(place)
    command = engine.command(place)
    with (home / "postgresql.log").open("wb") as log:
        child = subprocess.Popen(
            command.argv, stdout=log, stderr=log, user=command.user, cwd=command.cwd
        )
    try:
        while not engine.ready(place):
            if child.poll() is not None:
                raise RuntimeError((home / "postgresql.log").read_text()[-2000:])
            time.sleep(0.1)
        yield f"postgresql://{_NAME}:{password}@127.0.0.1:{place.port}/{_NAME}"
    finally:
        engine.stop(place)
        child.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
