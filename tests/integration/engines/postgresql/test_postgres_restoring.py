"""A restore in two passes, and in one where the archive's list is too large to be kept."""

import pytest

from demo.fingerprint import differences, fingerprint
from fixtures.postgres import Log, PostgresServer, ServerFactory, restore, take
from fixtures.rich_data import fill
from holdfast.engines.postgresql import restoring


@pytest.mark.parametrize("head", [16 << 20, 64], ids=["side by side", "one by one"])
def test_both_ways_bring_everything_back(
    postgres_server: ServerFactory, monkeypatch: pytest.MonkeyPatch, head: int
) -> None:
    server: PostgresServer = postgres_server(15)
    server.wipe()
    fill(server)
    monkeypatch.setattr(restoring, "_HEAD", head)
    monkeypatch.setattr("os.cpu_count", lambda: 4)
    before = fingerprint(server.address)
    taken = take(server.engine, server.address)
    used: list[str] = []
    real = restoring.feed
    monkeypatch.setattr(
        restoring, "feed", lambda command, *more: (used.extend(command.argv), real(command, *more))
    )
    restore(server.engine, server.address, taken, Log())
    assert differences(before, fingerprint(server.address)) == []
    assert ("--jobs=4" in used) == (head > 64)
