"""A store that takes nothing for longer than the server waits."""

import time
from pathlib import Path

import pytest

from fixtures.physical import write
from fixtures.postgres import Log, a_guard
from fixtures.redis_servers import FLAVOURS, running_redis
from holdfast.engines.redis.driver import Redis
from holdfast.kit import read_ahead

pytestmark = pytest.mark.slow

KEYS = 30_000


@pytest.mark.parametrize("diskless", ["yes", "no"])
@pytest.mark.parametrize("flavour", FLAVOURS)
def test_a_snapshot_outlasts_a_slow_store(
    redis_engine: Redis,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    flavour: str,
    diskless: str,
) -> None:
    monkeypatch.setattr(read_ahead, "PATIENCE_SECONDS", 1.0)
    with running_redis(
        flavour, repl_diskless_sync=diskless, repl_timeout="6", rdbcompression="no"
    ) as server:
        filling = "for i=1,ARGV[1] do redis.call('set', i, string.rep(math.random(), 60)) end"
        server.client().eval(filling, 0, KEYS)
        log = Log()
        with redis_engine.snapshot(server.address, log.attempt(), a_guard(), None) as session:
            for piece in session.pieces():
                if piece.path.endswith("dump.rdb"):
                    next(iter(piece.chunks))
                    time.sleep(15)
                    for _ in piece.chunks:
                        pass
                else:
                    write(tmp_path, piece)
    assert session.facts["keys"] == {"0": KEYS}
