"""Reads what an archive holds of each collection, so that two archives can be compared.

Documents are compared as bytes, whatever their order. Of a time series the buckets are compared: a
restore brings them back as they are. Names are `database.collection`.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping

from holdfast.contracts.drills import Content
from holdfast.contracts.engine import Member
from holdfast.domain.errors import EvidenceMissing, NotSupported
from holdfast.engines.mongodb.dump import archive
from holdfast.engines.mongodb.dump.archive import BUCKETS, Reader
from holdfast.engines.row_digests import RowDigest, contents


def content(member: Member, plain: Iterator[bytes]) -> Mapping[str, Content]:
    """EvidenceMissing when the member is damaged, NotSupported for a file of another tool."""
    if member.format == archive.ACCOUNTS:
        archive.examine(member, plain)
        return {}
    if member.format != archive.DATABASES:
        raise NotSupported(
            "the content of imported archives cannot be compared: they may hold what is left out"
        )
    digests: defaultdict[str, RowDigest] = defaultdict(RowDigest)
    try:
        for run in Reader(plain).runs():
            database, collection = run.namespace
            digests[f"{database}.{collection.removeprefix(BUCKETS)}"].add(run.documents())
    except EvidenceMissing as error:
        raise EvidenceMissing(f"{member.name}: {error.message}") from error
    return contents(digests)
