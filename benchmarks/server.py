"""Database servers for benchmarks, run as managed ones are: with fsync."""

import secrets
import socket
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from holdfast.contracts.engine import Engine
from holdfast.contracts.local_servers import Hostable, LocalServer
from holdfast.engines.registry import load_engine
from holdfast.kit.processes.process import start_detached
from holdfast.kit.seal import Secret

_NAME = "holdfast"


@contextmanager
def hosted(kind: str, home: Path) -> Generator[tuple[Engine, LocalServer]]:
    """An empty server of this kind, the newest version there is, in `home / kind`."""
    engine = load_engine(kind, home / "tools")
    if not isinstance(engine, Hostable):
        raise TypeError("the engine cannot run servers")
    version = max(engine.versions(), key=lambda v: [int(part) for part in v.split(".")])
    password = Secret(secrets.token_hex(12))
    place = LocalServer(home / kind, _free_port(), version, _NAME, password, _NAME)
    engine.initialise(place)
    log = home / f"{kind}.log"
    with log.open("ab") as output:
        ended = start_detached(engine.command(place), output).ended
    try:
        while not engine.ready(place):
            if ended() is not None:
                raise RuntimeError(log.read_text()[-2000:])
            time.sleep(0.1)
        yield engine, place
    finally:
        engine.stop(place)


def postgresql_url(place: LocalServer) -> str:
    """Of its database, with the password."""
    login = f"{place.user}:{place.password.reveal()}"
    return f"postgresql://{login}@127.0.0.1:{place.port}/{place.database}"


@contextmanager
def catalogue_server(home: Path) -> Generator[str]:
    """The URL of an empty PostgreSQL database."""
    with hosted("postgresql", home) as (_, place):
        yield postgresql_url(place)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
