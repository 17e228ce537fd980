"""Files that nonsense was done to: each is read, or refused as damaged, and breaks nothing.

Mutations are drawn from fixed seeds, so a failure can be repeated.
"""

import io
import json
import random
import tarfile
from collections.abc import Callable, Iterator
from typing import Any

import bson
import pytest
from fastcrc.crc64 import xz

from holdfast.domain.errors import EvidenceMissing
from holdfast.engines.mongodb.dump import archive, metadata
from holdfast.engines.mongodb.dump.archive import SEPARATOR, TIME_SERIES, VIEW, Meta
from holdfast.engines.mongodb.imports import directory_format, survey
from holdfast.engines.mongodb.imports.definition_filter import DefinitionFilter
from holdfast.engines.mongodb.restore.preflight import series

MUTANTS = 400
DOCUMENTS = [bson.encode({"_id": number, "text": "x" * number}) for number in range(5)]
INDEXES = [
    {"v": 2, "key": {"_id": 1}, "name": "_id_"},
    {"v": 2, "key": {"a": 1, "b": -1.0}, "name": "a", "expireAfterSeconds": {"$numberLong": "9"}},
    {"v": 2, "key": {"c": "text"}, "name": "c", "collation": {"locale": "de", "strength": 2}},
]
DEFINITIONS: dict[tuple[str, str, str], dict[str, Any]] = {
    ("shop", "orders", "collection"): {
        "options": {"capped": True, "size": {"$numberInt": "4096"}, "validator": {"a": {"$gt": 1}}},
        "indexes": INDEXES,
        "uuid": "00" * 16,
    },
    ("shop", "names", VIEW): {
        "options": {
            "viewOn": "orders",
            "pipeline": [{"$match": {"at": {"$date": "2020-01-01T00:00:00Z"}}}],
        }
    },
    ("main", "weather", TIME_SERIES): {
        "options": {"timeseries": {"timeField": "t"}, "expireAfterSeconds": {"$numberLong": "60"}},
        "indexes": [],
    },
}
NONSENSE: list[Any] = [
    *(None, True, -1, 1 << 70, 1e308, "", "x\0y", "\ud800", [], {}, [[]], {"": 0}, {"a\0": 1}),
    *({"$numberLong": "x"}, {"$numberLong": str(1 << 70)}, {"$date": {"$numberLong": "9" * 30}}),
    *({"$oid": "x"}, {"$numberDecimal": "x"}, {"$binary": 1}, {"$uuid": "x"}, {"$code": 1}),
    *({"$date": "x"}, {"$timestamp": {"t": -1, "i": 1}}, {"$regularExpression": {}}, {"$ref": 1}),
    {"$binary": {"base64": "!", "subType": "zz"}},
]


def an_archive(texts: dict[tuple[str, str, str], str]) -> bytes:
    metas = [Meta(database, name, text, kind) for (database, name, kind), text in texts.items()]
    body = b"".join(DOCUMENTS)
    parts = [archive.write_prelude("6.0.5", metas)]
    for meta in metas:
        documents = b"" if meta.type == VIEW else body
        parts += [archive.write_header(meta.data), documents, SEPARATOR] if documents else []
        parts.append(archive.write_eof(meta.data, xz(documents)))
    return b"".join(parts)


def a_directory(texts: dict[tuple[str, str, str], str]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for (database, name, kind), text in texts.items():
            base = f"dump/{database}/{'system.buckets.' if kind == TIME_SERIES else ''}{name}"
            files = {f"dump/{database}/{name}.metadata.json": text.encode(errors="replace")}
            files |= {} if kind == VIEW else {f"{base}.bson": b"".join(DOCUMENTS)}
            for path, content in files.items():
                entry = tarfile.TarInfo(path)
                entry.size = len(content)
                tar.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def with_bytes_changed(body: bytes, chance: random.Random) -> bytes:
    damaged = bytearray(body)
    for _ in range(chance.choice((1, 1, 2, 8))):
        position = chance.randrange(len(damaged))
        match chance.randrange(4):
            case 0:
                damaged[position] ^= 1 << chance.randrange(8)
            case 1:
                damaged[position] = chance.choice((0, 1, 0x7F, 0x80, 0xFF))
            case 2:
                del damaged[position : position + chance.choice((1, 4, 40))]
            case _:
                damaged[position:position] = chance.randbytes(chance.choice((1, 4, 40)))
    return bytes(damaged)


def with_a_value_changed(document: Any, chance: random.Random) -> Any:
    """The document with nonsense in place of one value or key, at any depth."""
    document = json.loads(json.dumps(document))
    containers = [document]
    for container in containers:
        inner = container.values() if isinstance(container, dict) else container
        containers += [value for value in inner if isinstance(value, dict | list) and value]
    container = chance.choice(containers)
    key = chance.choice(list(container) if isinstance(container, dict) else range(len(container)))
    if isinstance(container, dict) and chance.random() < 0.3:
        container[chance.choice(("", "name", "key", "$x", "viewOn", "x\0"))] = container.pop(key)
    else:
        container[key] = chance.choice(NONSENSE)
    return document


def texts(chance: random.Random | None = None) -> dict[tuple[str, str, str], str]:
    """Definitions as text; with `chance` one of them is nonsense."""
    mutated = chance.choice(list(DEFINITIONS)) if chance else None
    return {
        key: json.dumps(with_a_value_changed(definition, chance) if key == mutated else definition)
        for key, definition in DEFINITIONS.items()
    }


def import_it(body: bytes) -> None:
    """All of an import that needs no server."""
    member = survey.recognise(body)
    surveyed = survey.survey(member, iter([body]))
    series(str(surveyed.facts["server"]["version"]))
    assert surveyed.inventory.tables is not None
    if member.format == survey.ARCHIVE:
        reader = archive.Reader(iter([body]))
        metas, runs = reader.metas, reader.runs()
    else:
        metas, runs = directory_format.contents(iter([body]), iter([body]))
    admit = DefinitionFilter().admit
    for definition in filter(None, map(admit, map(metadata.parse, metas))):
        commands = [
            metadata.create_command("x", definition),
            *metadata.index_specs(definition),
            *metadata.expiries("x", definition),
            {"meta": metadata.parse(definition.meta()).options},
        ]
        assert all(map(bson.encode, commands))
    assert sum(len(run.ends) for run in runs) >= 0


FORMS: dict[str, Callable[[dict[tuple[str, str, str], str]], bytes]] = {
    "archive": an_archive,
    "directory": a_directory,
}


def mutants(form: str) -> Iterator[bytes]:
    whole = FORMS[form](texts())
    import_it(whole)
    for seed in range(MUTANTS):
        chance = random.Random(seed)
        yield FORMS[form](texts(chance))
        yield with_bytes_changed(whole, chance)


@pytest.mark.parametrize("form", FORMS)
def test_nonsense_is_read_or_refused(form: str) -> None:
    outcomes = {True: 0, False: 0}
    for body in mutants(form):
        try:
            import_it(body)
        except EvidenceMissing:
            outcomes[False] += 1
        else:
            outcomes[True] += 1
    assert min(outcomes.values()) > MUTANTS // 20, outcomes


def test_definitions_that_would_fill_the_memory_are_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(archive, "MAX_DEFINITION_BYTES", 300)
    for form in FORMS.values():
        with pytest.raises(EvidenceMissing, match="definitions are longer than"):
            import_it(form(texts()))


def test_a_header_of_a_tar_that_would_fill_the_memory_is_refused() -> None:
    header = tarfile.TarInfo("dump/x")
    header.type, header.size = tarfile.XHDTYPE, 8 << 30
    packed = a_directory(texts()).rstrip(b"\0")
    files = packed.ljust(-(-len(packed) // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE, b"\0")
    body = files + header.tobuf() + bytes(tarfile.RECORDSIZE)
    with pytest.raises(EvidenceMissing, match="damaged or cut off"):
        import_it(body)


def test_a_version_that_is_no_number_is_none() -> None:
    assert [series(text) for text in ("6.0.5", "6.²", f"6.{'9' * 5000}")] == [(6, 0), (), ()]
