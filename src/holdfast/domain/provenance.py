"""Who shaped the content of a backup, and so with what power it may be restored.

Whoever can write to a database decides what runs when a backup of it is loaded: functions behind
indexes, triggers, definers. An addon's own server is shaped by people of the addon's project. A
file, another server and a place whose manifests we did not stamp may be shaped by anybody.
"""

from enum import StrEnum

from holdfast.domain.backup import IMPORTED, SourceType


class Provenance(StrEnum):
    """OWN: taken by us from the addon's own server. FOREIGN: of unknown hands."""

    OWN = "own"
    FOREIGN = "foreign"


def provenance_of(source: SourceType) -> Provenance:
    """What a new backup of this source is."""
    return Provenance.FOREIGN if source in IMPORTED else Provenance.OWN


def is_trusted(provenance: Provenance, *, same_project: bool) -> bool:
    """Whether a restore may give the content its roles, owners and definers back.

    A project is who trusts each other: the owner of another project's addon could have shaped its
    backups, so there they count as foreign.
    """
    return provenance is Provenance.OWN and same_project
