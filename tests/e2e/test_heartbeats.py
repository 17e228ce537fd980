"""Heartbeats: an endpoint elsewhere hears of a Holdfast that lives, ails, or cannot start."""

from pathlib import Path

import pytest

from fixtures.holdfast import await_that, start_holdfast
from fixtures.receivers import Hook
from holdfast.catalog.database.migrate import migrate
from holdfast.catalog.database.session import Catalog
from holdfast.catalog.schema import ChannelRow
from holdfast.channels.posting import post
from holdfast.cli.terminal.problems import STATUS, UNEXPECTED, OperationFailed
from holdfast.client import ServerFault
from holdfast.daemons.alarms.heart import STALE_SECONDS, Heart, ping
from holdfast.domain.alarms.messages import OPERATION_FAILED, Signals
from holdfast.kit.clock import SystemClock
from holdfast.kit.seal import Secret


def test_it_lives_and_cannot_start_without_its_key(tmp_path: Path, hook: Hook) -> None:
    environment = {"HOLDFAST_HEARTBEAT_URL": f"{hook.url}/abc", "HOLDFAST_WATCH_EVERY": "1"}
    server = start_holdfast(tmp_path, **environment)
    try:
        await_that(lambda: [each.path for each in hook.posted] == ["/abc/start", "/abc"])
        body = {"name": "Hook", "kind": "slack", "settings": {"url": hook.url}}
        assert server.api().post("/channels", body).status == 200
    finally:
        server.stop()
    (tmp_path / "data" / "master.key").unlink()
    with pytest.raises(RuntimeError, match="did not come up"):
        start_holdfast(tmp_path, **environment)
    assert hook.posted[-1].path == "/abc/fail"
    assert b"could not start: There is no master key here" in hook.posted[-1].body


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    catalog = Catalog(f"sqlite:///{tmp_path / 'catalogue.db'}")
    migrate(catalog)
    return catalog


class Moment(SystemClock):
    """A clock that tests put forward."""

    at = 1_000.0

    def monotonic(self) -> float:
        return self.at


def test_it_says_when_it_cannot_be_relied_on(catalog: Catalog) -> None:
    clock, beats = Moment(), list[tuple[str, str]]()
    evaluated: list[float | None] = [None]
    heart = Heart(
        catalog, clock, lambda: evaluated[0], lambda signal, text: beats.append((signal, text))
    )
    heart.round()
    clock.at += STALE_SECONDS + 1
    heart.round()
    evaluated[0] = clock.at
    heart.round()
    with catalog.write() as session:
        session.add(
            ChannelRow(
                id="mail", name="Mail", kind="email", shown="", sealed_settings="", severity="info",
                resolved=True, form={}, failures=3, created=1, updated=1,
            )
        )  # fmt: skip
    heart.round()
    catalog.close()
    assert beats == [
        ("start", ""),
        ("", ""),
        ("fail", "alarms have not been evaluated for 121 s"),
        ("", ""),
        ("fail", "no channel delivers: mail"),
    ]


def test_a_ping_keeps_the_query_and_never_fails(hook: Hook) -> None:
    ping(post, Secret(f"{hook.url}/a/?rid=1"), "start")
    ping(post, Secret(hook.url), "3", "three")
    assert [each.path for each in hook.posted] == ["/a/start?rid=1", "/3"]
    ping(post, Secret("http://127.0.0.1:9/x"), "")
    for signal in ("start", "", "fail", "failed-start"):
        ping(post, Secret(hook.url), signal, signals=Signals.EXIT_STATUS)
    ping(post, Secret(hook.url), "failed-start")
    statuses = [each.path for each in hook.posted[2:]]
    assert statuses == ["/start", "/0", "/10", "/1", "/fail"]
    assert (STATUS[ServerFault], UNEXPECTED) == (10, 1), "those of the command line"
    assert STATUS[OperationFailed] == OPERATION_FAILED
    hook.status = 500
    ping(post, Secret(hook.url), "fail")
