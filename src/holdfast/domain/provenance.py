"""Provenance: who could have shaped a backup's content, and so how far a restore trusts it.

Anyone who can write to a database decides what runs when a backup of it is loaded: functions behind
indexes, triggers, definers. People of the addon's project shape its own server. A file, another
server, or a store whose manifests lack our stamp may have been shaped by a stranger.
"""

from enum import StrEnum

from holdfast.domain.backup import IMPORTED, SourceType


class Provenance(StrEnum):
    """OWN: taken by us from the addon's own server. FOREIGN: a stranger may have shaped it."""

    OWN = "own"
    FOREIGN = "foreign"


def provenance_of(source: SourceType) -> Provenance:
    """The provenance of a new backup from this source."""
    return Provenance.FOREIGN if source in IMPORTED else Provenance.OWN


def is_trusted(provenance: Provenance, *, same_project: bool) -> bool:
    """Whether a restore may give the content its roles, owners and definers back.

    Trust ends at the project: owners of other projects could have shaped their backups, so those
    count as foreign.
    """
    return provenance is Provenance.OWN and same_project
