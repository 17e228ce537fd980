"""Makes the API's view of the evidence from which a backup's `completed` was derived."""

from holdfast.catalog.schema import Backup, Document
from holdfast.views.shapes.backups import EvidenceView, MemberView
from holdfast.views.shapes.base import without_nulls


def view(backup: Backup) -> EvidenceView:
    """Views the evidence of a backup that has some."""
    evidence = backup.evidence or {}
    if "snapshot" in evidence:
        return EvidenceView(
            provenance=backup.provenance,
            warnings=_warnings(backup),
            snapshot=evidence["snapshot"],
            files=evidence["files"],
            stored_bytes=evidence.get("storedBytes"),
            checks=evidence["checks"],
            facts=without_nulls(evidence["facts"]),
        )
    return EvidenceView(
        provenance=backup.provenance,
        warnings=_warnings(backup),
        manifest_sha256=evidence["manifestSha256"],
        members=[
            MemberView(**{**member, "facts": without_nulls(member["facts"])})
            for member in evidence["members"]
        ],
        checks=evidence["checks"],
        inventory=evidence["inventory"],
    )


def _warnings(backup: Backup) -> list[Document]:
    """Returns the warnings; evidence of the oldest backups has none."""
    return without_nulls((backup.evidence or {}).get("warnings", []))
