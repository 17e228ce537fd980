"""The stored form of a dump: its objects, and the manifest that describes and proves them.

The manifest is the last object written; without it a prefix is leftovers. `docs/formats/dump.md`
describes it for people who have only the bucket.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

MANIFEST = "manifest.json"
FORMAT = "holdfast-dump/1"


@dataclass(frozen=True)
class StoredMember:
    """One object of a dump. Sizes in bytes; digests are hex sha256 of plain and stored bytes."""

    name: str
    key: str
    format: str
    database: str | None
    plain_bytes: int
    plain_sha256: str
    stored_bytes: int
    stored_sha256: str
    facts: Mapping[str, object]


@dataclass(frozen=True)
class Manifest:
    """Everything needed to restore and to check a dump without the catalogue."""

    backup: Mapping[str, object]
    engine: str
    version: str
    compression: str
    created: str
    members: Sequence[StoredMember]
    facts: Mapping[str, object]
    inventory: Mapping[str, object]
    provenance: str

    def document(self) -> dict[str, object]:
        return {"format": FORMAT, **asdict(self)}

    @property
    def size(self) -> int:
        return sum(member.stored_bytes for member in self.members)


def stamped_part(document: Mapping[str, object]) -> bytes:
    """The bytes of a manifest that its `stamp` signs: canonical JSON of all but the stamp."""
    rest = {key: value for key, value in document.items() if key != "stamp"}
    return json.dumps(rest, sort_keys=True, separators=(",", ":")).encode()


def attempt_prefix(project: str, addon: str, backup_uid: str, attempt: str) -> str:
    """`dumps/<project>/<addon>/<backup uid>/<attempt>/`: each attempt has its own prefix."""
    return f"{backup_prefix(project, addon, backup_uid)}{attempt}/"


def backup_prefix(project: str, addon: str, backup_uid: str) -> str:
    return f"dumps/{project}/{addon}/{backup_uid}/"
