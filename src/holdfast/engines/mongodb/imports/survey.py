"""Surveys a foreign dump: what it is, by its content, and whether it is whole."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from holdfast.contracts.engine import Member
from holdfast.contracts.foreign import Survey
from holdfast.domain.errors import EvidenceMissing
from holdfast.engines.foreign_formats import description_of
from holdfast.engines.mongodb.dump import metadata
from holdfast.engines.mongodb.dump.archive import MAGIC, VIEW, Meta, Namespace, Reader
from holdfast.engines.mongodb.dump.inventory import merge
from holdfast.engines.mongodb.imports import directory_format
from holdfast.engines.mongodb.imports.definition_filter import DefinitionFilter

ARCHIVE = "foreign-mongodump-archive"
DIRECTORY = "foreign-mongodump-directory"
_MEMBERS = {
    ARCHIVE: Member("imported.archive", ARCHIVE, None),
    DIRECTORY: Member("imported-directory.tar", DIRECTORY, None),
}


def recognise(head: bytes) -> Member:
    """EvidenceMissing says what the file is instead, as far as its first bytes tell."""
    if head.startswith(MAGIC):
        return _MEMBERS[ARCHIVE]
    if directory_format.is_directory(head):
        return _MEMBERS[DIRECTORY]
    raise EvidenceMissing(
        f"the file is {description_of(head)}. It has to be made by mongodump with --archive, or be"
        " its directory in a tar: documents alone, or JSON of mongoexport, have no definitions"
    )


def survey(member: Member, plain: Iterator[bytes]) -> Survey:
    """Reads the whole file. EvidenceMissing when it is cut off or holds what is not allowed."""
    documents, sizes = Counter[Namespace](), Counter[str]()
    versions: Mapping[str, str] = {}
    if member.format == ARCHIVE:
        try:
            reader = Reader(plain)
            for run in reader.runs():
                documents[run.namespace] += len(run.ends)
                sizes[run.namespace[0]] += len(run.buffer)
        except EvidenceMissing as error:
            raise EvidenceMissing(f"the file is not whole: {error.message}") from error
        metas: Sequence[Meta] = reader.metas
        versions = {"version": reader.server_version, "tool": reader.tool_version}
    elif member.format == DIRECTORY:
        directory, names = directory_format.Directory(), list[tuple[str, str, int, int]]()
        for file in directory_format.files(plain):
            directory.learn(file)
            if file.is_metadata:
                continue
            count = size = 0
            for run in directory_format.runs(file, (file.database, file.base)):
                count += len(run.ends)
                size += len(run.buffer)
            names.append((file.database, file.base, count, size))
        metas = directory.metas
        for database, base, count, size in names:
            documents[directory.namespace(database, base)] += count
            sizes[database] += size
    else:
        raise EvidenceMissing(f"{member.name} has an unknown format {member.format!r}")
    return describe(metas, documents, sizes, versions)


def describe(
    metas: Sequence[Meta],
    documents: Mapping[Namespace, int],
    sizes: Mapping[str, int],
    versions: Mapping[str, str],
) -> Survey:
    definition_filter = DefinitionFilter()
    admitted = [
        definition
        for definition in map(definition_filter.admit, map(metadata.parse, metas))
        if definition is not None
    ]
    if not admitted:
        raise EvidenceMissing("the file holds no collection that can be imported")
    counted = [(item, documents.get(item.data, 0)) for item in admitted if item.type != VIEW]
    names = sorted({item.database for item in admitted})
    facts = {
        "server": {"version": versions.get("version", ""), "flavour": "MongoDB"},
        "tools": {"version": versions.get("tool", "")},
        "madeBy": f"mongodump {versions['tool']}" if "tool" in versions else "mongodump",
        "databases": [{"name": name, "size": sizes.get(name, 0)} for name in names],
        "documents": sum(count for _, count in counted),
        "collections": len(admitted),
        "leftOut": sorted(definition_filter.left_out),
    }
    return Survey(merge(counted, [item for item in admitted if item.type == VIEW]), facts)
