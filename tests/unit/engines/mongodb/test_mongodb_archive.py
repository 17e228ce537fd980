"""Archives as `mongodump` writes them: written, read, cut anywhere and damaged."""

from collections.abc import Iterator

import bson
import pytest
from bson.int64 import Int64
from bson.son import SON
from fastcrc.crc64 import xz

from holdfast.contracts.engine import Member
from holdfast.domain.errors import EvidenceMissing
from holdfast.engines.mongodb.dump import archive, metadata
from holdfast.engines.mongodb.dump.archive import SEPARATOR, Meta, Reader
from holdfast.engines.mongodb.dump.batches import offsets, without_keys
from holdfast.engines.mongodb.dump.metadata import Definition

DOCUMENTS = [bson.encode({"_id": number, "text": "x" * number}) for number in range(6)]
GOLDEN = (
    "6de29981"
    "6700000010636f6e63757272656e745f636f6c6c656374696f6e730001000000"
    "0276657273696f6e0004000000302e3100027365727665725f76657273696f6e"
    "0006000000362e302e350002746f6f6c5f76657273696f6e0009000000686f6c"
    "64666173740000"
)
"""How the prelude of an archive begins, as the stock tool of 100.13 reads it."""


def an_archive() -> bytes:
    metas = [Meta("shop", "a", "{}"), Meta("shop", "v", "{}", archive.VIEW), Meta("x", "b", "{}")]
    first, second = b"".join(DOCUMENTS[:4]), b"".join(DOCUMENTS[4:])
    namespaces = [meta.data for meta in metas]
    return b"".join(
        (
            archive.write_prelude("6.0.5", metas),
            *(archive.write_header(namespaces[0]), first, SEPARATOR),
            *(archive.write_header(namespaces[2]), second, SEPARATOR),
            *(archive.write_header(namespaces[0]), second, SEPARATOR),
            archive.write_eof(namespaces[0], xz(first + second)),
            archive.write_eof(namespaces[1], 0),
            archive.write_eof(namespaces[2], xz(second)),
        )
    )


def in_pieces(body: bytes, size: int) -> Iterator[bytes]:
    return (body[start : start + size] for start in range(0, len(body), size))


def read(body: bytes, size: int = 7) -> dict[archive.Namespace, list[bytes]]:
    reader = Reader(in_pieces(body, size))
    contents: dict[archive.Namespace, list[bytes]] = {meta.data: [] for meta in reader.metas}
    for run in reader.runs():
        contents[run.namespace] += run.documents()
    return contents


@pytest.mark.parametrize("size", [1, 7, 64, 1 << 20])
def test_what_was_written_is_read(size: int) -> None:
    assert read(an_archive(), size) == {
        ("shop", "a"): DOCUMENTS,
        ("shop", "v"): [],
        ("x", "b"): DOCUMENTS[4:],
    }


def test_it_begins_as_the_stock_tool_reads_it() -> None:
    body = an_archive()
    header = body[4 : 4 + int.from_bytes(body[4:8], "little")]
    assert (body[:4] + header).hex() == GOLDEN
    assert bson.decode(body[4 + len(header) :][: body[4 + len(header)]])["db"] == "shop"
    eof = archive.write_eof(("shop", "a"), (1 << 64) - 2)
    assert eof.endswith(SEPARATOR)
    assert bson.decode(eof[:-4]) == {"db": "shop", "collection": "a", "EOF": True, "CRC": -2}


def test_data_of_a_time_series_has_another_name() -> None:
    assert Meta("m", "weather", "{}", archive.TIME_SERIES).data == ("m", "system.buckets.weather")


def test_a_cut_archive_is_refused_wherever_it_was_cut() -> None:
    body = an_archive()
    for size in range(len(body)):
        with pytest.raises(EvidenceMissing, match=r"cut off|does not begin"):
            read(body[:size], 4096)


def test_a_flipped_byte_of_a_document_is_seen() -> None:
    body = an_archive()
    start = body.index(DOCUMENTS[3])
    for position in range(start, start + len(DOCUMENTS[3])):
        damaged = bytearray(body)
        damaged[position] ^= 0x40
        with pytest.raises(EvidenceMissing):
            read(bytes(damaged))


@pytest.mark.parametrize(
    ("insert", "reason"),
    [
        (archive.write_header(("shop", "other")), "unannounced"),
        (archive.write_header(("shop", "a")) + SEPARATOR, "at its end"),
        (archive.write_eof(("x", "b"), 0), "at its end"),
        ((1 << 30).to_bytes(4, "little") + b"x" * 64, "damaged"),
    ],
)
def test_blocks_that_do_not_belong_are_refused(insert: bytes, reason: str) -> None:
    with pytest.raises(EvidenceMissing, match=reason):
        read(an_archive() + insert)


def test_an_announced_collection_needs_its_end() -> None:
    body = an_archive()
    without = body.replace(archive.write_eof(("shop", "v"), 0), b"")
    with pytest.raises(EvidenceMissing, match=r"1 collections did not .* shop\.v"):
        read(without)


@pytest.mark.parametrize(
    ("metas", "reason"),
    [([Meta("a", "b", "{}")] * 2, "twice"), ([Meta("a", "b", "[")], None)],
)
def test_preludes_that_make_no_sense(metas: list[Meta], reason: str | None) -> None:
    body = archive.write_prelude("6.0.5", metas)
    if reason is None:
        with pytest.raises(EvidenceMissing, match="cannot be read"):
            metadata.parse(Reader(iter([body])).metas[0])
        return
    with pytest.raises(EvidenceMissing, match=reason):
        read(body)


def test_archives_of_another_version_are_refused() -> None:
    header = bson.encode({"version": "9"})
    with pytest.raises(EvidenceMissing, match="version '9'"):
        read(archive.MAGIC + header + SEPARATOR)


def test_a_member_is_examined() -> None:
    member = Member("databases.archive", archive.DATABASES, None)
    expected = {"databases": 2, "collections": 3, "documents": 8}
    assert archive.examine(member, in_pieces(an_archive(), 100)) == expected
    with pytest.raises(EvidenceMissing, match=r"databases\.archive: it was cut off"):
        archive.examine(member, in_pieces(an_archive()[:-1], 100))


def test_definitions_come_back_as_they_were() -> None:
    options = {"capped": True, "size": Int64(4096), "collation": {"locale": "de", "strength": 2}}
    indexes = [
        {"v": 2, "key": {"_id": 1}, "name": "_id_"},
        {"v": 2, "key": {"b": 1.0, "a": -1}, "name": "by b", "expireAfterSeconds": 60},
    ]
    definition = Definition("shop", "x", archive.COLLECTION, options, indexes, "00ff")
    parsed = metadata.parse(definition.meta())
    assert parsed == definition
    assert list(parsed.indexes[1]["key"]) == ["b", "a"]
    assert isinstance(parsed.options["size"], Int64)
    assert [index["name"] for index in parsed.secondary] == ["by b"]
    assert metadata.create_command("y", parsed) == {"create": "y", **options}
    (spec,) = metadata.index_specs(parsed)
    assert spec["expireAfterSeconds"] == metadata.MAX_EXPIRY_SECONDS
    assert spec["collation"] == {"locale": "simple"}
    changed = {"collMod": "y", "index": {"name": "by b", "expireAfterSeconds": 60}}
    assert list(metadata.expiries("y", parsed)) == [changed]


def test_views_and_time_series_are_told_by_their_options_in_old_files() -> None:
    view = Meta("a", "b", '{"options": {"viewOn": "c", "pipeline": []}}')
    assert metadata.parse(view).type == archive.VIEW
    series = Meta("a", "b", '{"options": {"timeseries": {"timeField": "t"}}}')
    assert metadata.parse(series).type == archive.TIME_SERIES


@pytest.mark.parametrize("text", ["[]", '{"options": 1}', '{"indexes": 1}', '{"indexes": [1]}'])
def test_definitions_that_are_none(text: str) -> None:
    with pytest.raises(EvidenceMissing):
        metadata.parse(Meta("a", "b", text))


@pytest.mark.parametrize("operator", ["$where", "$function", "$accumulator"])
def test_code_is_seen_wherever_it_stands(operator: str) -> None:
    assert metadata.runs_code({"pipeline": [{"$match": {"$and": [{"a": {operator: "f()"}}]}}]})
    assert not metadata.runs_code({"pipeline": [{"$match": {"a": operator}}]})


def test_documents_of_a_reply_are_taken_out_of_their_array() -> None:
    array = bson.encode(SON((str(n), bson.decode(item)) for n, item in enumerate(DOCUMENTS)))
    assert without_keys(array) == b"".join(DOCUMENTS)
    ends = offsets(b"".join(DOCUMENTS))
    assert ends[-1] == sum(map(len, DOCUMENTS))
    assert len(ends) == len(DOCUMENTS)
