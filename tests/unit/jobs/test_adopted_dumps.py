"""What an installation believes of dumps that lie in a store and that it has no rows of."""

import json
from typing import Any

import pytest

from holdfast.domain.artifact import stamped_part
from holdfast.domain.provenance import Provenance
from holdfast.domain.retention.store_check import spot_of
from holdfast.kit.clock import SystemClock
from holdfast.kit.sign import Stamp
from holdfast.stores.memory.driver import MemoryStore
from holdfast.stores.memory.options import Options
from holdfast.usecases.adoption import survey

UID = "01234567-89ab-cdef-0123-456789abcdef"
OURS, OTHERS = Stamp(bytes(32), "manifests"), Stamp(b"x" * 32, "manifests")
MANIFEST: dict[str, Any] = {
    "format": "holdfast-dump/1",
    "backup": {"uid": UID, "id": "b", "name": "B", "project": "shop", "addon": "orders"},
    "engine": "sqlite",
    "version": "3.40.1",
    "compression": "gz",
    "created": "2026-01-01T00:00:00Z",
    "members": [
        {
            "name": "main.sql", "key": "main.sql.gz", "format": "sqlite", "database": None,
            "plain_bytes": 1, "plain_sha256": "0" * 64, "stored_bytes": 3,
            "stored_sha256": "0" * 64, "facts": {},
        }
    ],
    "facts": {},
    "inventory": {"tables": [], "objects": {}},
    "provenance": "own",
}  # fmt: skip


def adopted(manifest: dict[str, Any], project: str = "shop") -> Provenance:
    store = MemoryStore(Options(), SystemClock())
    prefix = f"dumps/{project}/orders/{UID}/1/"
    for key, body in (("main.sql.gz", b"abc"), ("manifest.json", json.dumps(manifest).encode())):
        upload = store.begin(prefix + key)
        upload.write(body)
        upload.commit()
    place = survey.survey(store)
    assert spot_of(f"{prefix}manifest.json") is not None
    shelves = survey.dumps(
        store, place.dumps[project, "orders"], [], lambda m: survey.is_stamped(OURS, m)
    )
    (shelf,) = shelves
    assert not isinstance(shelf, survey.SurveyProblem)
    (found,) = shelf.backups
    return found.provenance


def stamped(by: Stamp, **changes: Any) -> dict[str, Any]:
    manifest = {**MANIFEST, **changes}
    return {**manifest, "stamp": by.of(stamped_part(manifest))}


def test_only_our_own_manifests_in_their_place_are_believed() -> None:
    ours = stamped(OURS)
    assert adopted(ours) is Provenance.OWN
    assert adopted(ours, project="payroll") is Provenance.FOREIGN
    assert adopted(stamped(OTHERS)) is Provenance.FOREIGN
    assert adopted(MANIFEST) is Provenance.FOREIGN
    assert adopted(stamped(OURS, provenance="foreign")) is Provenance.FOREIGN


@pytest.mark.parametrize("key", ["version", "members", "provenance", "inventory"])
def test_a_changed_manifest_has_no_stamp_any_more(key: str) -> None:
    changed = stamped(OURS)
    before = changed[key]
    changed[key] = before + "x" if isinstance(before, str) else [*before, 1]
    assert not survey.is_stamped(OURS, changed)
