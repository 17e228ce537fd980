"""Files of strangers: archives, directories in a tar, and those that mean harm."""

import gzip
import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

import bson
import pytest
from bson import json_util
from fastcrc.crc64 import xz

from fixtures.mongodb import MongoServer
from fixtures.mongodb_data import differences, fill, fingerprint, leftovers
from fixtures.mongodb_dumps import import_file, take
from fixtures.postgres import Log
from holdfast.domain.errors import EvidenceMissing, RestoreDiffers
from holdfast.engines.mongodb.dump import archive
from holdfast.engines.mongodb.dump.archive import COLLECTION, SEPARATOR, TIME_SERIES, VIEW, Meta
from holdfast.engines.mongodb.imports import survey

ACCOUNT_LINES = ("user", "role")


def without_accounts(state: Mapping[str, Any]) -> dict[str, Any]:
    """What an import brings: neither accounts nor stored JavaScript."""
    return {
        key: value
        for key, value in state.items()
        if not key.startswith(ACCOUNT_LINES) and not key.endswith("system.js")
    }


def an_archive(contents: Sequence[tuple[Meta, Sequence[bytes]]]) -> bytes:
    parts = [archive.write_prelude("6.0.5", [meta for meta, _ in contents])]
    for meta, documents in contents:
        data = b"".join(documents)
        if data:
            parts += [archive.write_header(meta.data), data, SEPARATOR]
        parts.append(archive.write_eof(meta.data, xz(data)))
    return b"".join(parts)


def a_meta(database: str, name: str, kind: str = COLLECTION, **fields: Any) -> Meta:
    document = {"options": {}, "indexes": [], **fields}
    return Meta(database, name, json_util.dumps(document), kind)


def a_directory(body: bytes, *, zipped: bool, documents_first: bool) -> bytes:
    """The tar of the directory that `mongodump --out` would have written."""
    reader = archive.Reader(iter([body]))
    data: dict[archive.Namespace, bytes] = {meta.data: b"" for meta in reader.metas}
    for run in reader.runs():
        data[run.namespace] += run.buffer
    files: dict[str, bytes] = {}
    for meta in reader.metas:
        definition = {**json.loads(meta.metadata), "type": meta.type}
        escaped = quote(meta.collection, safe="")
        base = f"dump/{meta.database}/{escaped[:208]}"
        files[f"{base}.metadata.json"] = json.dumps(definition).encode()
        if meta.type != VIEW:
            prefix = archive.BUCKETS if meta.type == TIME_SERIES else ""
            files[f"dump/{meta.database}/{prefix}{escaped[:208]}.bson"] = data[meta.data]
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name in sorted(files, reverse=not documents_first):
            content = gzip.compress(files[name]) if zipped else files[name]
            entry = tarfile.TarInfo(f"{name}.gz" if zipped else name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


OLD_INDEXES: dict[str, dict[str, Any]] = {
    "true": {"key": {"a": True}},
    "nothing": {"key": {"b": ""}},
    "zero": {"key": {"a": 0, "b": -1}},
    "not a number": {"key": {"c": float("nan")}},
    "unknown options": {"key": {"d": 1}, "safe": True, "dropDups": True, "v": 0},
    "words for flags": {"key": {"e": 1}, "unique": 1, "sparse": "true", "background": 1.0},
    "expiry of two fields": {"key": {"b": 1, "c": 1}, "expireAfterSeconds": 60},
}
"""What servers before 3.4 took, and `mongorestore` says of its archives."""


def test_indexes_of_old_servers_take_the_form_of_today(mongodb: MongoServer) -> None:
    mongodb.wipe()
    indexes = [
        {"v": 1, "name": name, "ns": "old.shop", **index} for name, index in OLD_INDEXES.items()
    ]
    meta = a_meta("old", "shop", indexes=indexes)
    log = Log()
    _, loaded = import_file(mongodb.address, an_archive([(meta, [bson.encode({"_id": 1})])]), log)
    assert loaded.skipped == ()
    present = mongodb.client()["old"]["shop"].index_information()
    assert present.keys() == {"_id_", *OLD_INDEXES}
    assert [present[name]["key"] for name in ("true", "zero", "not a number")] == [
        [("a", 1)],
        [("a", 1), ("b", -1)],
        [("c", 1)],
    ]
    assert present["words for flags"]["unique"] is True
    assert "expireAfterSeconds" not in present["expiry of two fields"]
    assert sum("in the form of today" in line for line in log.lines) == len(OLD_INDEXES)


def test_of_a_document_that_was_written_again_the_last_one_stays(mongodb: MongoServer) -> None:
    mongodb.wipe()
    documents = [{"_id": 1, "n": "first"}, {"_id": 2}, {"_id": 1, "n": "last"}]
    body = an_archive([(a_meta("shop", "jobs"), [bson.encode(each) for each in documents])])
    log = Log()
    import_file(mongodb.address, body, log)
    jobs = mongodb.client()["shop"]["jobs"]
    assert list(jobs.find(sort=[("_id", 1)])) == [{"_id": 1, "n": "last"}, {"_id": 2}]
    assert [line for line in log.lines if line.startswith("shop.jobs: ") and "the last one" in line]


def test_a_capped_collection_with_a_repeated_document_is_refused(mongodb: MongoServer) -> None:
    mongodb.wipe()
    documents = [bson.encode({"_id": number}) for number in (1, 2, 1)]
    meta = a_meta("shop", "ring", options={"capped": True, "size": 4096})
    with pytest.raises(RestoreDiffers, match=r"documents of shop\.ring"):
        import_file(mongodb.address, an_archive([(meta, documents)]), Log())
    assert "ring" not in mongodb.client()["shop"].list_collection_names()


@pytest.mark.parametrize(
    "form",
    ["archive", pytest.param("directory", marks=pytest.mark.slow), "directory of .gz"],
)
def test_a_file_of_the_stock_tool_comes_in(
    mongodb: MongoServer, other_mongodb: MongoServer, form: str
) -> None:
    client = mongodb.client()
    fill(client, orders=40, big=False)
    before = fingerprint(client)
    body = take(mongodb.address).bodies["databases.archive"]
    if form != "archive":
        zipped = form.endswith("gz")
        body = a_directory(body, zipped=zipped, documents_first=zipped)
    log = Log()
    surveyed, loaded = import_file(other_mongodb.address, body, log)
    target = other_mongodb.client()
    after = fingerprint(target)
    assert differences(without_accounts(before), without_accounts(after)) == []
    assert leftovers(target) == []
    assert sorted(map(str, surveyed.inventory.tables)) == sorted(map(str, loaded.tables))
    assert surveyed.facts["leftOut"] == ["stored JavaScript"]
    assert "left out: stored JavaScript" in log.lines


def test_an_archive_that_means_harm_reaches_nothing(other_mongodb: MongoServer) -> None:
    client = other_mongodb.client()
    client.admin.command("createUser", "bystander", pwd="b", roles=["root"])
    before = fingerprint(client)
    document = [bson.encode({"_id": 1, "$where": "is data", "value": bson.Code("f()")})]
    user = [
        bson.encode(
            {
                "_id": "admin.evil",
                "user": "evil",
                "db": "admin",
                "roles": [{"role": "root", "db": "admin"}],
            }
        )
    ]
    code = {"$match": {"$expr": {"$function": {"body": "f", "args": [], "lang": "js"}}}}
    body = an_archive(
        [
            (a_meta("admin", "system.users"), user),
            (a_meta("Admin", "system.roles"), user),
            (a_meta("admin", "mine"), document),
            (a_meta("config", "settings"), document),
            (a_meta("local", "startup_log"), document),
            (a_meta("", "oplog"), document),
            (a_meta("app", "system.js"), document),
            (a_meta("app", "system.views"), document),
            (a_meta("app", "system.buckets.x"), document),
            (a_meta("app", "holdfast_old_0123456789_book"), document),
            (a_meta("app", "bad view", VIEW, options={"viewOn": "a", "pipeline": [code]}), []),
            (a_meta("app", "good view", VIEW, options={"viewOn": "a", "pipeline": []}), []),
            (
                a_meta(
                    "app",
                    "plain",
                    options={
                        "create": "other",
                        "$db": "admin",
                        "validator": {"$where": "f()"},
                        "storageEngine": {"wiredTiger": {"configString": "type=lsm"}},
                    },
                    indexes=[
                        {
                            "v": 2,
                            "key": {"a": 1},
                            "name": "a_1",
                            "storageEngine": {"wiredTiger": {"configString": "x=y"}},
                        }
                    ],
                ),
                document,
            ),
        ]
    )
    surveyed, _ = import_file(other_mongodb.address, body)
    after = fingerprint(client)
    new = {key: value for key, value in after.items() if key not in before}
    assert differences(before, {key: after.get(key) for key in before}) == []
    assert sorted(new) == [
        "data app.plain",
        "indexes app.plain",
        "options app.good view",
        "options app.plain",
    ]
    assert new["options app.plain"] == {}
    assert client.app.plain.find_one() == bson.decode(document[0])
    assert len(surveyed.facts["leftOut"]) == 8
    assert client.admin.list_collection_names(filter={"name": "mine"}) == []


@pytest.mark.parametrize(
    ("meta", "reason"),
    [
        (a_meta("a/b", "c"), "cannot have that name"),
        (a_meta("a$", "c"), "cannot have that name"),
        (a_meta("x" * 64, "c"), "cannot have that name"),
        (a_meta("a", "b$c"), "no collection can have"),
        (a_meta("a", "x" * 260), "no collection can have"),
        (a_meta("a", "b", VIEW), "is no view"),
        (a_meta("a", "b", TIME_SERIES), "is no timeseries"),
        (a_meta("a", "b", "other"), "is no other"),
        (a_meta("admin", "b"), "no collection that can be imported"),
    ],
)
def test_definitions_that_no_server_has_are_refused(meta: Meta, reason: str) -> None:
    body = an_archive([(meta, [])])
    with pytest.raises(EvidenceMissing, match=reason):
        survey.survey(survey.recognise(body), iter([body]))


def test_damaged_files_are_refused(mongodb: MongoServer) -> None:
    mongodb.client().main.a.insert_many({"_id": n, "text": "x" * 50} for n in range(100))
    body = take(mongodb.address).bodies["databases.archive"]
    flipped = bytearray(body)
    flipped[len(body) // 2] ^= 1
    packed = a_directory(body, zipped=True, documents_first=True)
    unpadded = packed.rstrip(b"\0")
    at_boundary = packed[: -(-len(unpadded) // 512) * 512]
    tars = (packed[:700], unpadded[:-20], at_boundary)
    for damaged in (body[:-1], body[: len(body) // 2], bytes(flipped), *tars):
        with pytest.raises(EvidenceMissing, match=r"not whole|damaged|cut off"):
            survey.survey(survey.recognise(damaged), iter([damaged]))
    with pytest.raises(EvidenceMissing, match="a page of HTML"):
        survey.recognise(b"<html>")
