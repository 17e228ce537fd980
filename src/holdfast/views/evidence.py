"""What a backup's `completed` was derived from, as the API shows it."""

from typing import Any, cast

from holdfast.catalog.schema import Backup, Document
from holdfast.views.shapes.backups import EvidenceView, MemberView


def view(backup: Backup) -> EvidenceView:
    """Of a backup that has evidence."""
    evidence = backup.evidence or {}
    if "snapshot" in evidence:
        return EvidenceView(
            provenance=backup.provenance,
            warnings=_warnings(backup),
            snapshot=evidence["snapshot"],
            files=evidence["files"],
            stored_bytes=evidence.get("storedBytes"),
            checks=evidence["checks"],
            facts=_without_nulls(evidence["facts"]),
        )
    return EvidenceView(
        provenance=backup.provenance,
        warnings=_warnings(backup),
        manifest_sha256=evidence["manifestSha256"],
        members=[
            MemberView(**{**member, "facts": _without_nulls(member["facts"])})
            for member in evidence["members"]
        ],
        checks=evidence["checks"],
        inventory=evidence["inventory"],
    )


def _warnings(backup: Backup) -> list[Document]:
    """Evidence of before there were warnings has none."""
    return _without_nulls((backup.evidence or {}).get("warnings", []))


def _without_nulls(value: Any) -> Any:
    """Facts come as an engine found them; on the wire what is absent is left out."""
    if isinstance(value, dict):
        items = cast("Document", value).items()
        return {key: _without_nulls(inner) for key, inner in items if inner is not None}
    if isinstance(value, list):
        return [_without_nulls(inner) for inner in cast("list[Any]", value)]
    return value
