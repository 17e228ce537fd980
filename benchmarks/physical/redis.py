"""Redis: against `redis-cli --rdb`, and restic of the file it makes."""

import json
import random
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from itertools import chain, islice
from pathlib import Path

from benchmarks.physical.contest import Contest, Holdfast, restic, shell, stream
from benchmarks.server import hosted
from holdfast.engines.redis.client.address import client
from holdfast.engines.redis.hosting import server

_VALUE_BYTES = 600
_AT_ONCE = 5000


@contextmanager
def redis(home: Path, size: int) -> Generator[Contest]:
    """`size` bytes of values, about."""
    with hosted("redis", home) as (engine, place):
        address = server.address(place)
        keys, dice = size // _VALUE_BYTES, random.Random(1)

        def write(numbers: Iterable[int]) -> None:
            rest = iter(numbers)
            with client(address) as session:
                while batch := list(islice(rest, _AT_ONCE)):
                    pairs = ((f"order:{number}", _value(number, dice)) for number in batch)
                    session.ask("MSET", *chain.from_iterable(pairs))

        write(range(keys))
        program = f"redis-cli -p {place.port} --user {place.user} --no-auth-warning --rdb"
        secret = {"REDISCLI_AUTH": address.password.reveal()}
        file = home / "stock" / "dump.rdb"
        file.parent.mkdir()
        yield Contest(
            tools=[
                stream(home, f"{program} - 2> {home}/redis-cli.log", "cat > dump.rdb", **secret),
                restic(
                    home,
                    str(file),
                    before=lambda: shell(f"{program} {file} > {home}/redis-cli.log 2>&1", **secret),
                ),
                Holdfast(home / "ours", engine, address).tool,
            ],
            update=lambda share: write(n for n in range(keys) if dice.random() < share),
            settle=lambda: None,
        )


def _value(number: int, dice: random.Random) -> str:
    note = " order paid ".join(f"{dice.getrandbits(128):032x}" for _ in range(8))
    return json.dumps({"user": number % 9973, "state": "shipped", "note": note})
