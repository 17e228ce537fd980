"""Options and indexes of a collection: as text in an archive, and as commands that create them.

The text is canonical Extended JSON, version 2, with keys in the server's order: the order of an
index's keys has a meaning.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import isnan
from typing import Any, cast

import bson
from bson import json_util
from bson.codec_options import DatetimeConversion
from bson.decimal128 import Decimal128
from bson.json_util import JSONMode, JSONOptions

from holdfast.domain.errors import EvidenceMissing
from holdfast.engines.mongodb.dump import archive
from holdfast.engines.mongodb.dump.archive import COLLECTION, MALFORMED, TIME_SERIES, VIEW, Meta

Document = Mapping[str, Any]

_JSON: JSONOptions = JSONOptions(
    json_mode=JSONMode.CANONICAL,
    datetime_conversion=DatetimeConversion.DATETIME_MS,
)
_UNCREATABLE_OPTIONS = ("temp", "autoIndexId", "flags", "uuid", "recordPreImages", "idIndex")
"""Options that servers list and refuse, or that only older ones know."""
_UNCREATABLE_INDEX_FIELDS = ("ns", "clustered")
_INDEX_OPTIONS = frozenset(
    (
        *("v", "key", "name", "unique", "sparse", "hidden", "background", "expireAfterSeconds"),
        *("collation", "partialFilterExpression", "wildcardProjection", "storageEngine", "bits"),
        *("min", "max", "bucketSize", "weights", "default_language", "language_override"),
        *("textIndexVersion", "2dsphereIndexVersion", "prepareUnique", "clustered"),
    )
)
_FLAGS = ("unique", "sparse", "hidden", "background")
MAX_EXPIRY_SECONDS = 2147483647
_SERVER_CODE = frozenset(("$where", "$function", "$accumulator"))
"""Operators that run JavaScript on the server."""


@dataclass(frozen=True)
class Definition:
    """One collection, view or time series, and its indexes as `listIndexes` gives them.

    `uuid` is empty for views and for files of tools that did not write it.
    """

    database: str
    name: str
    type: str = COLLECTION
    options: Document = field(default_factory=dict[str, Any])
    indexes: Sequence[Document] = ()
    uuid: str = ""

    @property
    def secondary(self) -> Sequence[Document]:
        """Indexes that have to be created: all but those of `_id`, which the server makes."""
        return [
            index
            for index in self.indexes
            if index.get("name") != "_id_" and not index.get("clustered")
        ]

    @property
    def data(self) -> archive.Namespace:
        """The namespace of its documents."""
        return Meta(self.database, self.name, "", self.type).data

    def meta(self) -> Meta:
        """The definition as an archive announces it."""
        document: dict[str, object] = {"options": self.options}
        if self.type != VIEW:
            document["indexes"] = list(self.indexes)
            if self.uuid:
                document["uuid"] = self.uuid
        document |= {"collectionName": self.name, "type": self.type}
        text = json_util.dumps(document, json_options=_JSON)
        return Meta(self.database, self.name, text, self.type)


def parse(meta: Meta) -> Definition:
    """The definition that a meta announces; EvidenceMissing if it cannot be read."""
    name = f"{meta.database}.{meta.collection}"
    try:
        document: object = json_util.loads(meta.metadata or "{}", json_options=_JSON)
        bson.encode({"definition": document})  # as commands will hold it
    except (*MALFORMED, AttributeError) as error:
        raise EvidenceMissing(f"the definition of {name} cannot be read: {error}") from error
    fields = _document(document, name)
    options = _document(fields.get("options") or {}, name)
    indexes: object = fields.get("indexes") or []
    if not isinstance(indexes, list):
        raise EvidenceMissing(f"the indexes of {name} cannot be read")
    listed = [_document(index, name) for index in cast("list[object]", indexes)]
    if not all(isinstance(index.get("name"), str) for index in listed):
        raise EvidenceMissing(f"an index of {name} has no name")
    kind = meta.type
    if kind == COLLECTION and "viewOn" in options:  # older tools wrote no type
        kind = VIEW
    if kind == COLLECTION and "timeseries" in options:
        kind = TIME_SERIES
    fits = {VIEW: "viewOn" in options, TIME_SERIES: "timeseries" in options, COLLECTION: True}
    if not fits.get(kind):
        raise EvidenceMissing(f"{name} is no {kind}: its options do not say so")
    uuid = str(fields.get("uuid", ""))
    return Definition(meta.database, meta.collection, kind, options, listed, uuid)


def _document(value: object, name: str) -> Document:
    if not isinstance(value, dict):
        raise EvidenceMissing(f"the definition of {name} is no document")
    return cast("Document", value)


def create_command(name: str, definition: Definition) -> dict[str, Any]:
    """The command that creates the definition under `name`, expiring nothing."""
    command: dict[str, Any] = {"create": name}
    for option, value in definition.options.items():
        implied = definition.type == TIME_SERIES and option == "clusteredIndex"
        if option not in _UNCREATABLE_OPTIONS and not implied:
            command[option] = value
    command.pop("expireAfterSeconds", None)
    return command


def index_specs(definition: Definition, expiry: int = MAX_EXPIRY_SECONDS) -> list[dict[str, Any]]:
    """The secondary indexes for `createIndexes`. Those of TTL expire documents after `expiry`
    seconds until `expiries` changes them.

    An index is listed without a collation if it has the simple one; created without one it would
    get that of its collection.
    """
    specs: list[dict[str, Any]] = []
    for index in definition.secondary:
        spec = {key: value for key, value in index.items() if key not in _UNCREATABLE_INDEX_FIELDS}
        if "expireAfterSeconds" in spec:
            spec["expireAfterSeconds"] = expiry
        if "collation" in definition.options:
            spec.setdefault("collation", {"locale": "simple"})
        specs.append(spec)
    return specs


def modernised(index: Document) -> Document:
    """An index as servers take it today. Before 3.4 they took any direction and any option, and
    ignored what they did not know; as ascending ones, and without these, it does the same."""
    keys = {
        name: direction if _is_direction(direction) else 1
        for name, direction in cast("Document", index["key"]).items()
    }
    options = {name: value for name, value in index.items() if name in _INDEX_OPTIONS}
    flags = {name: bool(value) for name, value in options.items() if name in _FLAGS}
    modern = {**options, **flags, "key": keys}
    if index.get("v") not in (1, 2):
        modern.pop("v", None)
    if len(keys) > 1:  # which expired nothing
        modern.pop("expireAfterSeconds", None)
    return modern


def _is_direction(value: object) -> bool:
    """Whether it is a number but zero, or the name of a kind of index."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value != 0 and not isnan(value)
    return isinstance(value, Decimal128) or (isinstance(value, str) and bool(value))


def expiries(
    name: str, definition: Definition, expiry: int | None = None
) -> Iterator[dict[str, Any]]:
    """Commands that give a collection under `name` and its TTL indexes their expiry again, or
    `expiry` seconds instead."""
    seconds = definition.options.get("expireAfterSeconds")
    if seconds is not None:
        off = "off" if expiry is not None else None
        yield {"collMod": name, "expireAfterSeconds": off or seconds}
    for index in definition.secondary:
        seconds = index.get("expireAfterSeconds")
        # Older servers took any number; one that no server takes any more expires nothing.
        if isinstance(seconds, int | float) and 0 <= seconds < MAX_EXPIRY_SECONDS:
            changed = {"name": index["name"], "expireAfterSeconds": expiry or seconds}
            yield {"collMod": name, "index": changed}


def runs_code(value: object) -> bool:
    """Whether a definition of a view, validator or index would run JavaScript on the server."""
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, Mapping):
            document = cast("Mapping[str, object]", item)
            if not _SERVER_CODE.isdisjoint(document):
                return True
            waiting.extend(document.values())
        elif isinstance(item, list):
            waiting.extend(cast("list[object]", item))
    return False
