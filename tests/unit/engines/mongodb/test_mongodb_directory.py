"""Directories of mongodump in a tar: nothing of them is passed over without a word."""

import gzip
import io
import tarfile
from collections.abc import Mapping

import bson
import pytest

from holdfast.domain.errors import EvidenceMissing
from holdfast.engines.mongodb.imports import survey
from holdfast.engines.mongodb.imports.directory_format import files


def tar_of(members: Mapping[str, bytes]) -> list[bytes]:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return [packed.getvalue()]


def contents(members: Mapping[str, bytes]) -> dict[str, bytes]:
    return {file.base: b"".join(file.chunks) for file in files(iter(tar_of(members)))}


def test_a_file_of_several_gzip_members_is_read_to_its_end() -> None:
    one, two = (bson.encode({"_id": number}) for number in (1, 2))
    packed = gzip.compress(one) + gzip.compress(two)
    assert contents({"dump/shop/orders.bson.gz": packed}) == {"orders": one + two}


@pytest.mark.parametrize("damage", [lambda b: b[:-9], lambda b: b + b"more", lambda b: b[:20]])
def test_a_damaged_gzip_file_is_refused(damage: "object") -> None:
    packed = damage(gzip.compress(bson.encode({"a": "b" * 99})))  # type: ignore[operator]
    with pytest.raises(EvidenceMissing, match="damaged or cut off"):
        contents({"dump/shop/orders.bson.gz": packed})


def test_the_dumps_own_oplog_is_named_as_left_out() -> None:
    document = bson.encode({"_id": 1})
    packed = tar_of({"dump/oplog.bson": document, "dump/shop/orders.bson": document})
    surveyed = survey.survey(survey.recognise(packed[0]), iter(packed))
    assert [table.rows for table in surveyed.inventory.tables] == [1]
    assert [reason.partition(":")[0] for reason in surveyed.facts["leftOut"]] == ["the oplog"]


def test_a_collection_of_that_name_is_not_lost() -> None:
    members = {
        "dump/shop/oplog.bson.gz": gzip.compress(b""),
        "dump/shop/oplog.metadata.json": b"{}",
    }
    with pytest.raises(EvidenceMissing, match="collection `oplog`"):
        contents(members)
