"""Features of MongoDB: kinds of collections, indexes, values, users and roles."""

import random
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import bson
from bson import Binary, Code, DBRef, Decimal128, Int64, MaxKey, MinKey, ObjectId, Regex, Timestamp
from bson.raw_bson import RawBSONDocument
from pymongo import IndexModel, MongoClient

from wild.grammar import Dialect, Weaver

DIALECT = Dialect(str, str, longest=150, refused=frozenset({"dollar$$name"}))
DATABASES = ("shop", "Ünïcode", "with-dash", "UPPER", "x" * 63, "日本", "a%2Fb", "2fast", "quo'te")
START = datetime(2024, 1, 1, tzinfo=UTC)

Database = Any
Make = Callable[[Database, str, random.Random], object]


def documents(count: int, dice: random.Random) -> list[dict[str, Any]]:
    return [
        {
            "_id": number,
            "a": number % 7,
            "b": [number % 3, number % 5],
            "c": {"d": f"text {dice.randint(0, 9)}", "e": number / 3},
            "at": START + timedelta(hours=number),
            "place": {"type": "Point", "coordinates": [number % 90, number % 45]},
            "spot": [number % 9, number % 7],
        }
        for number in range(count)
    ]


def of(*values: Any) -> Make:
    """A collection with a document for each value."""
    return lambda d, n, _: d[n].insert_many({"value": value} for value in values)


def indexed(*indexes: IndexModel, **options: Any) -> Make:
    """A collection with documents to index."""

    def make(database: Database, name: str, dice: random.Random) -> None:
        collection = database.create_collection(name, **options)
        collection.insert_many(documents(dice.randint(1, 60), dice))
        collection.create_indexes(list(indexes))

    return make


def index(*keys: tuple[str, Any], **options: Any) -> Make:
    return indexed(IndexModel(list(keys), **options))


def made(count: int = 20, **options: Any) -> Make:
    """A collection made with `options`."""

    def make(database: Database, name: str, dice: random.Random) -> None:
        database.create_collection(name, **options)
        if count:
            database[name].insert_many(documents(count, dice))

    return make


def raw(*elements: bytes) -> Make:
    """Documents that no client would write: an `_id` and `elements` as they are."""

    def make(database: Database, name: str, _: random.Random) -> None:
        texts = [bson.encode({"_id": n})[:-1] + item + b"\0" for n, item in enumerate(elements)]
        sized = [RawBSONDocument(len(text).to_bytes(4, "little") + text[4:]) for text in texts]
        database.command("insert", name, documents=sized)

    return make


def series(granularity: str, *, meta: str = "", **options: Any) -> Make:
    def make(database: Database, name: str, dice: random.Random) -> None:
        kind = {
            "timeField": "t",
            "granularity": granularity,
            **({"metaField": meta} if meta else {}),
        }
        database.create_collection(name, timeseries=kind, **options)
        database[name].insert_many(
            {"t": START + timedelta(minutes=dice.randint(0, 90_000)), meta or "m": n % 3, "v": n}
            for n in range(dice.randint(1, 300))
        )

    return make


def view(*stages: Mapping[str, Any], of_another: bool = True) -> Make:
    def make(database: Database, name: str, dice: random.Random) -> None:
        if of_another:
            database[f"{name}_base"].insert_many(documents(5, dice))
        database.create_collection(name, viewOn=f"{name}_base", pipeline=list(stages))

    return make


def older_than_its_validator(database: Database, name: str, dice: random.Random) -> None:
    database[name].insert_many(documents(5, dice))
    validator = {"$jsonSchema": {"required": ["missing"]}}
    database.command("collMod", name, validator=validator, validationAction="error")


def time_series_with_index(database: Database, name: str, dice: random.Random) -> None:
    series("minutes", meta="m")(database, name, dice)
    database[name].create_index([("m", 1), ("t", -1)])


def grid(database: Database, name: str, dice: random.Random) -> None:
    database[f"{name}.files"].insert_one({"_id": 1, "length": 9, "chunkSize": 4, "filename": name})
    chunks = database[f"{name}.chunks"]
    chunks.create_index([("files_id", 1), ("n", 1)], unique=True)
    chunks.insert_many({"files_id": 1, "n": n, "data": dice.randbytes(4)} for n in range(3))


def renamed(database: Database, name: str, dice: random.Random) -> None:
    database[f"{name}_old"].insert_many(documents(9, dice))
    database[f"{name}_old"].create_index("a", name="kept")
    database[f"{name}_old"].rename(name)


def outgrown(database: Database, name: str, dice: random.Random) -> None:
    """A result of `$out`, written over what was there."""
    database[name].insert_one({"_id": "gone"})
    database[f"{name}_in"].insert_many(documents(9, dice))
    database[f"{name}_in"].aggregate([{"$match": {"a": {"$gt": 2}}}, {"$out": name}])


def hidden(database: Database, name: str, dice: random.Random) -> None:
    index(("a", 1), name="unseen")(database, name, dice)
    database.command("collMod", name, index={"name": "unseen", "hidden": True})


def stored_function(database: Database, name: str, _: random.Random) -> None:
    code = Code("function (x) { return 2 * x }")
    database["system.js"].replace_one({"_id": name}, {"value": code}, upsert=True)


def role_and_user(database: Database, name: str, dice: random.Random) -> None:
    resource = {"db": database.name, "collection": dice.choice(["", name])}
    privilege = {"resource": resource, "actions": ["find", "collStats"]}
    database.command("createRole", f"r_{name}", roles=["read"], privileges=[privilege])
    database.command("createUser", f"u_{name}", pwd="a long pässword", roles=[f"r_{name}"])


def restricted_user(database: Database, name: str, _: random.Random) -> None:
    database.command(
        "createUser",
        name,
        pwd="another long one",
        roles=[{"role": "readWrite", "db": "elsewhere"}, "dbAdmin"],
        customData={"team": ["a", {"b": 1}]},
        authenticationRestrictions=[{"clientSource": ["127.0.0.1", "10.0.0.0/8"]}],
        mechanisms=["SCRAM-SHA-256"],
    )


PLAIN: Mapping[str, Make] = {
    "documents": made(50),
    "empty": made(0),
    "without a document left": lambda d, n, _: (d[n].insert_one({"_id": 1}), d[n].delete_one({})),
    "many tiny documents": lambda d, n, _: d[n].insert_many({"_id": i} for i in range(4000)),
    "a document of a megabyte": of(b"\x5a" * 1_000_000),
    "empty document": lambda d, n, _: d[n].insert_one({}),
    "no field but an identity of null": lambda d, n, _: d[n].insert_one({"_id": None}),
    "identities of many kinds": lambda d, n, _: d[n].insert_many(
        {"_id": value}
        for value in (1, 2.5, "1", b"1", True, {"a": 1, "b": [2]}, ObjectId(), START, MinKey(), "")
    ),
    "equal numbers of three kinds": of(1, Int64(1), 1.0, Decimal128("1"), Decimal128("1.00")),
    "odd numbers": of(float("nan"), float("inf"), -0.0, 5e-324, Int64(2**63 - 1), Int64(-(2**63))),
    "decimals": of(*map(Decimal128, ("NaN", "-Infinity", "1E-6176", "9.999E+6144", "0E+3"))),
    "texts": of("", "\0", "a\0b", "🦊", "é", "\N{COMBINING ACUTE ACCENT}", "x" * 70_000),
    "dates": of(datetime(1, 1, 1, tzinfo=UTC), START, datetime(9999, 12, 31, tzinfo=UTC)),
    "binaries": of(*(Binary(b"\0\1\xff", kind) for kind in (0, 1, 5, 6, 128, 255)), b""),
    "keys and codes": of(
        MinKey(), MaxKey(), Code("f()"), Code("f()", {"a": 1}), Regex("a/b", "imsx")
    ),
    "references": of(DBRef("c", 1), DBRef("c", ObjectId(), "other", extra=1)),
    "timestamps": of(Timestamp(1, 1), Timestamp(2**32 - 1, 2**32 - 1)),
    "deep": lambda d, n, _: d[n].insert_one({"_id": 1, "x": nested(80)}),
    "wide": lambda d, n, _: d[n].insert_one({f"f{i}": i for i in range(3000)}),
    "arrays": of([], [[]], [None, [1, [2, [3]]]], list(range(2000))),
    "odd field names": of({"": 1, " ": 2, "a.b": 3, "$c": 4, "é": 5, "0": 6, "__proto__": 7}),
    "order of fields": of({"a": 1, "b": 2}, {"b": 2, "a": 1}),
    "a date beyond all": raw(b"\x09at\0" + (1 << 60).to_bytes(8, "little")),
    "a doubled key": raw(b"\x10a\0\1\0\0\0\x10a\0\2\0\0\0"),
    "broken UTF-8": raw(b"\x02t\0\3\0\0\0\xff\xfe\0", b"\x02t\0\4\0\0\0\xed\xa0\x80\0"),
    "kinds of old": raw(b"\x06u\0", b"\x0es\0\2\0\0\0x\0", b"\x0cr\0\2\0\0\0c\0" + b"\7" * 12),
    "an array with odd keys": raw(b"\x04a\0\x12\0\0\0\x10x\0\1\0\0\0\x10\0\2\0\0\0\0"),
    "index": index(("a", 1)),
    "descending index": index(("a", -1), ("at", 1), name="a name of its own, with blanks"),
    "many indexes": indexed(*(IndexModel([("a", 1), (f"x{i}", -1)]) for i in range(30))),
    "unique": index(("_id", 1), ("a", 1), unique=True),
    "sparse": index(("missing", 1), unique=True, sparse=True),
    "partial": index(("a", 1), partialFilterExpression={"a": {"$gt": 3}, "c.d": {"$exists": True}}),
    "of many keys": index(("b", 1), ("c.d", 1)),
    "text": index(("c.d", "text"), ("t", "text"), weights={"c.d": 3}, default_language="german"),
    "text of all": index(("$**", "text"), language_override="idioma"),
    "sphere": index(("place", "2dsphere"), ("a", 1)),
    "plane": index(("spot", "2d"), min=-200, max=200, bits=20),
    "hashed": index(("c.d", "hashed"), ("a", 1)),
    "wildcard": index(("$**", 1), wildcardProjection={"c": 0}),
    "wildcard below": index(("c.$**", 1)),
    "index with a collation": index(("c.d", 1), collation={"locale": "fr", "backwards": True}),
    "hidden": hidden,
    "time to live": index(("at", 1), expireAfterSeconds=1_500_000_000),
    "time to live of nothing": index(("nowhere", 1), expireAfterSeconds=0),
    "index of no document": lambda d, n, _: d.create_collection(n).create_index([("a", 1)]),
    "collation": made(collation={"locale": "de", "strength": 2, "numericOrdering": True}),
    "collation and its index": indexed(
        IndexModel("c.d"), collation={"locale": "sv", "caseLevel": True}
    ),
    "capped": made(90, capped=True, size=8192),
    "capped by number": made(30, capped=True, size=100_000, max=20),
    "validator": made(validator={"a": {"$gte": 0}}, validationLevel="moderate"),
    "validator that warns": made(validator={"a": {"$gt": 99}}, validationAction="warn"),
    "schema": made(validator={"$jsonSchema": {"properties": {"a": {"bsonType": "int"}}}}),
    "older than its validator": older_than_its_validator,
    "images before changes": made(changeStreamPreAndPostImages={"enabled": True}),
    "clustered": made(clusteredIndex={"key": {"_id": 1}, "unique": True, "name": "by id"}),
    "clustered that expires": made(
        clusteredIndex={"key": {"_id": 1}, "unique": True}, expireAfterSeconds=1_500_000_000
    ),
    "options of the storage": made(
        storageEngine={"wiredTiger": {"configString": "block_compressor=zlib"}}
    ),
    "series": series("seconds"),
    "series with a sensor": series("minutes", meta="m"),
    "series that expires": series("hours", meta="m", expireAfterSeconds=1_500_000_000),
    "series with an index": time_series_with_index,
    "view": view({"$match": {"a": {"$gt": 2}}}, {"$project": {"a": 1, "c.d": 1}}),
    "view without a stage": view(),
    "view of nothing": view({"$limit": 3}, of_another=False),
    "view that looks up": view(
        {"$lookup": {"from": "nowhere", "localField": "a", "foreignField": "_id", "as": "x"}},
        {"$unwind": {"path": "$x", "preserveNullAndEmptyArrays": True}},
    ),
    "grid": grid,
    "renamed": renamed,
    "result of $out": outgrown,
    "stored function": stored_function,
}
POWERFUL: Mapping[str, Make] = {"role and user": role_and_user, "restricted user": restricted_user}


def nested(depth: int) -> dict[str, Any]:
    return {"n": nested(depth - 1)} if depth else {}


def fill(url: str, seed: int, *, powerful: bool) -> Sequence[str]:
    """Fills several databases; says with which features."""
    weaver = Weaver(random.Random(seed), DIALECT)
    features = {**PLAIN, **(POWERFUL if powerful else {})}
    client: MongoClient[Any] = MongoClient(url)
    with client:
        for name in weaver.dice.sample(DATABASES, weaver.dice.randint(1, 3)):
            for feature in weaver.choose(features, 2, 16):
                try:
                    features[feature](client[name], weaver.name(), weaver.dice)
                except Exception as error:
                    raise AssertionError(f"{feature}: {error}") from error
    return weaver.used
