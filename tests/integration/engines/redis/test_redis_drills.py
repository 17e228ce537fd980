"""A server judged by itself and by its owner's assertions."""

import time
from collections.abc import Iterator

import pytest

from fixtures.postgres import a_guard
from fixtures.redis_data import fill
from fixtures.redis_servers import FLAVOURS, RedisServer, running_redis
from holdfast.contracts.drills import Assertable, Assertion, SelfChecking
from holdfast.domain.evidence import Check
from holdfast.engines.redis.driver import Redis


@pytest.fixture(scope="module", params=FLAVOURS)
def server(request: pytest.FixtureRequest) -> Iterator[RedisServer]:
    with running_redis(request.param) as made:
        client = made.client()
        client.set("greeting", "hello world")
        client.set("zero", "0")
        client.set('odd "key"\xff', "1")
        client.rpush("list", *range(1000))
        client.hset("shop", mapping={"orders": "17"})
        made.client(3).set("elsewhere", "1")
        yield made


def ask(
    engine: Redis, server: RedisServer, text: str, seconds: float = 20, database: str | None = None
) -> Check:
    assertion = Assertion("mine", text, seconds, database)
    return engine.assert_true(server.address, assertion, a_guard())


def test_it_checks_its_data(redis_engine: Redis, server: RedisServer) -> None:
    assert isinstance(redis_engine, SelfChecking)
    loading, rdb = redis_engine.check_data(server.address, a_guard())
    assert loading.passed
    assert loading.found == "5 keys in 0, 1 keys in 3"
    assert rdb.passed
    assert "6 keys" in rdb.found
    assert "RDB looks OK" in rdb.found


@pytest.mark.parametrize(
    ("text", "database", "passed", "found"),
    [
        ("DBSIZE", None, True, "the answer is 5"),
        ("GET greeting", None, True, "the answer is hello world"),
        ("get zero", None, False, "the answer is 0"),
        ("GET missing", None, False, "NULL"),
        (r'GET "odd \"key\"\xc3\xbf"', None, True, "the answer is 1"),
        ("EXISTS 'elsewhere'", "3", True, "the answer is 1"),
        ("EXISTS elsewhere", None, False, "the answer is 0"),
        ("LRANGE list 0 -1", None, False, "the answer is 0"),
        ("LRANGE list 5 -1", None, True, "the answer is 5"),
        ("LRANGE none 0 -1", None, False, "no answer"),
        ("HGETALL shop", None, True, "the answer is orders"),
        ("SET a b", None, False, "it writes"),
        ("INCR counter", None, False, "it writes"),
        ("GETDEL greeting", None, False, "it writes"),
        ("FLUSHALL", None, False, "it writes"),
        ("CONFIG GET dir", None, False, "it reaches beyond"),
        ("CONFIG SET dir /tmp", None, False, "it reaches beyond"),
        ("EVAL 'while true do end' 0", None, False, "it reaches beyond"),
        ("EVAL_RO 'return 1' 0", None, False, "it reaches beyond"),
        ("DEBUG SLEEP 100", None, False, "it reaches beyond"),
        ("KEYS *", None, False, "it reaches beyond"),
        ("BGSAVE", None, False, "it reaches beyond"),
        ("ACL LIST", None, False, "it reaches beyond"),
        ("DBSIZE\nDBSIZE", None, False, "several things"),
        ("GET 'greeting", None, False, "not closed"),
        ("  ", None, False, "no command"),
        ("NONSENSE", None, False, "no valid statement: unknown command"),
        ("GET", None, False, "no valid statement: wrong number"),
        ("LLEN greeting", None, False, "it fails"),
    ],
)
def test_an_assertion_is_answered_or_stopped(
    redis_engine: Redis,
    server: RedisServer,
    text: str,
    database: str | None,
    passed: bool,
    found: str,
) -> None:
    assert isinstance(redis_engine, Assertable)
    check = ask(redis_engine, server, text, database=database)
    assert (check.name, check.passed) == ("assertion mine", passed), check.found
    assert found in check.found
    assert server.client().dbsize() == 5
    assert [user for user in server.client().acl_users() if "asker" in user] == []


def test_a_slow_answer_is_given_up(redis_engine: Redis, server: RedisServer) -> None:
    server.client().config_set("slowlog-log-slower-than", "-1")
    members = range(400_000)
    for start in range(0, len(members), 100_000):
        server.client(5).sadd("many", *members[start : start + 100_000])
    began = time.monotonic()
    check = ask(redis_engine, server, "XREAD BLOCK 0 STREAMS s $", 0.3)
    assert "longer than 0.3 seconds" in check.found
    check = ask(redis_engine, server, "SUNION" + " many" * 60, 0.1, "5")
    assert not check.passed
    assert "longer than 0.1 seconds" in check.found
    assert time.monotonic() - began < 120
    server.client(5).flushdb()


def test_filled_servers_are_sound(redis_engine: Redis) -> None:
    with running_redis("redis") as made:
        fill(made.client(), timed_fields=False)
        assert all(check.passed for check in redis_engine.check_data(made.address, a_guard()))
