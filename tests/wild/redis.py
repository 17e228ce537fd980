"""Features of Redis and Valkey: kinds of values, in the encodings that servers keep them in."""

import random
from collections.abc import Callable, Mapping
from typing import Any

import redis

from wild.grammar import Dialect, Weaver

DIALECT = Dialect(str, str)

Client = Any
Make = Callable[[Client, Any, random.Random], object]

LIBRARY = "#!lua name={name}\nredis.register_function('{name}_f', function(k, a) return tonumber(a[1]) end)"


def _many(dice: random.Random, least: int, most: int) -> int:
    return dice.randint(least, most)


def _stream_with_groups(client: Client, key: Any, dice: random.Random) -> None:
    for number in range(1, 40):
        client.xadd(key, {"n": number, "x": "y" * dice.randint(0, 90)}, id=f"{number}-{number % 3}")
    client.xgroup_create(key, "g", id="0")
    client.xreadgroup("g", "c", {key: ">"}, count=dice.randint(1, 20))
    client.xack(key, "g", "1-1")
    client.xgroup_create(key, "late", id="$")
    client.execute_command("XGROUP", "CREATECONSUMER", key, "late", "idle")


def _stream_cut(client: Client, key: Any, dice: random.Random) -> None:
    for number in range(1, 300):
        client.xadd(key, {"a": number})
    client.xtrim(key, maxlen=dice.randint(0, 50), approximate=False)


def _stream_with_holes(client: Client, key: Any, dice: random.Random) -> None:
    ids = [client.xadd(key, {f"f{n % 3}": n}) for n in range(60)]
    client.xdel(key, *dice.sample(ids, 20))


FEATURES: Mapping[str, Make] = {
    "text": lambda c, k, d: c.set(k, "plain"),
    "empty text": lambda c, k, d: c.set(k, ""),
    "binary": lambda c, k, d: c.set(k, d.randbytes(d.randint(1, 3000))),
    "small number": lambda c, k, d: c.set(k, d.randint(-100, 9000)),
    "16 bit": lambda c, k, d: c.set(k, -30000),
    "32 bit": lambda c, k, d: c.set(k, 2**31 - 1),
    "64 bit": lambda c, k, d: c.set(k, -(2**63)),
    "larger than 64 bit": lambda c, k, d: c.set(k, str(2**64)),
    "number with a zero in front": lambda c, k, d: c.set(k, "007"),
    "float": lambda c, k, d: c.incrbyfloat(k, 0.1),
    "compressible": lambda c, k, d: c.set(k, "ab" * d.randint(20, 9000)),
    "not compressible": lambda c, k, d: c.set(k, d.randbytes(20000)),
    "large": lambda c, k, d: c.set(k, bytes(d.randint(1, 3) << 20)),
    "bits": lambda c, k, d: c.setbit(k, d.randint(0, 99999), 1),
    "bit fields": lambda c, k, d: c.execute_command("BITFIELD", k, "SET", "u7", "11", "99"),
    "appended": lambda c, k, d: (c.set(k, "a"), c.append(k, "b" * 100), c.setrange(k, 300, "z")),
    "hyperloglog": lambda c, k, d: c.pfadd(k, *range(d.randint(1, 5000))),
    "sparse hyperloglog": lambda c, k, d: c.pfadd(k, "one"),
    "list": lambda c, k, d: c.rpush(k, *range(d.randint(1, 60))),
    "list of texts": lambda c, k, d: c.lpush(k, *[f"item {n}" for n in range(d.randint(1, 90))]),
    "long list": lambda c, k, d: c.rpush(k, *["x" * 90] * 4000),
    "list with a large item": lambda c, k, d: c.rpush(k, "a", bytes(300_000), "b"),
    "list of empties": lambda c, k, d: c.rpush(k, "", "", ""),
    "list pushed at both ends": lambda c, k, d: [
        (c.lpush(k, n), c.rpush(k, f"r{n}")) for n in range(300)
    ],
    "set of numbers": lambda c, k, d: c.sadd(k, *range(d.randint(1, 500))),
    "set of large numbers": lambda c, k, d: c.sadd(k, 2**62, -(2**62), 5),
    "set of texts": lambda c, k, d: c.sadd(k, "a", "", "\x00", "é"),
    "large set": lambda c, k, d: c.sadd(k, *[f"m{n}" for n in range(3000)]),
    "set of mixed": lambda c, k, d: c.sadd(k, 1, 2, "three", *range(600)),
    "set emptied and refilled": lambda c, k, d: (c.sadd(k, 1), c.srem(k, 1), c.sadd(k, "x")),
    "sorted set": lambda c, k, d: c.zadd(k, {f"m{n}": n / 7 for n in range(d.randint(1, 90))}),
    "large sorted set": lambda c, k, d: c.zadd(k, {f"m{n}" * 9: n / 3 for n in range(2000)}),
    "infinite scores": lambda c, k, d: c.zadd(k, {"a": float("inf"), "b": float("-inf")}),
    "negative zero": lambda c, k, d: c.zadd(k, {"a": -0.0, "b": 0.0}),
    "tiny scores": lambda c, k, d: c.zadd(k, {"a": 5e-324, "b": 1.7e308, "c": 0.1 + 0.2}),
    "equal scores": lambda c, k, d: c.zadd(k, dict.fromkeys("zyxab", 1)),
    "scores of whole numbers": lambda c, k, d: c.zadd(k, {"a": 2**53, "b": -(2**53), "c": 3}),
    "places": lambda c, k, d: c.geoadd(k, (13.36, 38.11, "Palermo", 15.08, 37.5, "Catania")),
    "hash": lambda c, k, d: c.hset(k, mapping={f"f{n}": n for n in range(d.randint(1, 90))}),
    "large hash": lambda c, k, d: c.hset(k, mapping={f"f{n}": "v" * 70 for n in range(1500)}),
    "hash of binary": lambda c, k, d: c.hset(k, mapping={b"\xff\x00": b"\r\n", "": ""}),
    "hash with a long value": lambda c, k, d: c.hset(k, "f", "v" * 70_000),
    "hash of numbers": lambda c, k, d: (c.hincrby(k, "a", 5), c.hincrbyfloat(k, "b", 0.5)),
    "hash grown beyond": lambda c, k, d: [c.hset(k, f"f{n}", n) for n in range(600)],
    "stream": lambda c, k, d: [c.xadd(k, {"a": n, "b": "x"}) for n in range(d.randint(1, 150))],
    "stream with groups": _stream_with_groups,
    "stream cut": _stream_cut,
    "stream with holes": _stream_with_holes,
    "stream emptied": lambda c, k, d: (c.xadd(k, {"a": 1}), c.xtrim(k, maxlen=0)),
    "stream only made": lambda c, k, d: c.xgroup_create(k, "g", mkstream=True),
    "stream with its last id set": lambda c, k, d: (
        c.xadd(k, {"a": 1}, id="1-1"),
        c.execute_command("XSETID", k, "77-7"),
    ),
    "expires": lambda c, k, d: c.set(k, "v", px=d.randint(9_000_000, 90_000_000)),
    "expires far away": lambda c, k, d: c.set(k, "v", pxat=2**45),
    "hash that expires": lambda c, k, d: (c.hset(k, "a", 1), c.expire(k, 90_000)),
    "list that expires": lambda c, k, d: (c.rpush(k, 1), c.expire(k, 90_000)),
    "persisted": lambda c, k, d: (c.set(k, "v", ex=90_000), c.persist(k)),
    "renamed": lambda c, k, d: (c.set("holdfast-tmp", "v"), c.rename("holdfast-tmp", k)),
    "copied": lambda c, k, d: (c.rpush("holdfast-tmp", 1, 2), c.rename("holdfast-tmp", k)),
    "dumped and restored": lambda c, k, d: (
        c.sadd("holdfast-tmp", 1, 2),
        c.restore(k, 0, c.dump("holdfast-tmp")),
        c.delete("holdfast-tmp"),
    ),
    "idle for long": lambda c, k, d: (
        c.set("holdfast-tmp", "v"),
        c.restore(k, 0, c.dump("holdfast-tmp"), idletime=5000),
        c.delete("holdfast-tmp"),
    ),
    "by a script": lambda c, k, d: c.eval("return redis.call('SET', KEYS[1], ARGV[1])", 1, k, "s"),
    "function": lambda c, k, d: c.execute_command(
        "FUNCTION", "LOAD", "REPLACE", LIBRARY.format(name=f"l{d.randint(1, 9)}")
    ),
}
KEYS: tuple[Callable[[random.Random], bytes], ...] = (
    lambda d: b"",
    lambda d: d.randbytes(d.randint(1, 300)),
    lambda d: b"k" * 20_000,
    lambda d: b"$EOF:" + b"a" * 40 + b"\r\n",
    lambda d: str(d.randint(0, 99)).encode(),
)


def fill(url: str, seed: int, *, powerful: bool) -> list[str]:
    """Fills several of the server's databases; says with which features."""
    weaver = Weaver(random.Random(seed), DIALECT)
    dice = weaver.dice
    client = redis.Redis.from_url(url, protocol=2)
    for number in sorted(dice.sample(range(16), dice.randint(1, 4))):
        client.execute_command("SELECT", number)
        taken: set[bytes] = set()
        for feature in weaver.choose(FEATURES, 2, 25):
            key = dice.choice(KEYS)(dice) if dice.random() < 0.2 else weaver.name().encode()
            if key not in taken:
                taken.add(key)
                FEATURES[feature](client, key, dice)
        client.delete("holdfast-tmp")
    client.close()
    return weaver.used
