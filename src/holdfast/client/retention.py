"""What retention plans, did and found."""

from collections.abc import Iterator, Sequence

from holdfast.client.models import Words
from holdfast.client.parse import parsed, parsed_all
from holdfast.client.transport import Transport, path_of
from holdfast.client.upkeep import AddonPlan, Audit, Deletion, Finding, Pruned


class Retention:
    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def plan(self, project: str | None = None, addon: str | None = None) -> Iterator[AddonPlan]:
        """By addon, also of those that are gone; the newest addon first. Changes nothing."""
        chosen = {"projectId": project, "addonId": addon}
        query = {name: value for name, value in chosen.items() if value is not None}
        found = self._transport.items(path_of("retention", "plan"), "addons", query)
        return parsed_all(AddonPlan, found)

    def prune(self, project: str, addon: str, share: float | None = None) -> Pruned:
        """A prune run now. `share`: the most of the addon's backups that may go, up to 1."""
        path = path_of("projects", project, "addons", addon, "prune")
        body = {} if share is None else {"share": share}
        return parsed(Pruned, self._transport.post(path, body))

    def deletions(self, *, only_open: bool = False) -> Iterator[Deletion]:
        """The newest first."""
        query = {"open": "true"} if only_open else {}
        found = self._transport.items(path_of("retention", "deletions"), "deletions", query)
        return parsed_all(Deletion, found)

    def findings(self, kind: str | None = None) -> Iterator[Finding]:
        """Of one kind (`lost`, `leftover`, `foreign`) or of all, the newest first."""
        query = {} if kind is None else {"kind": kind}
        found = self._transport.items(path_of("retention", "findings"), "findings", query)
        return parsed_all(Finding, found)

    def audits(self) -> Sequence[Audit]:
        """When each store was compared with the catalogue last."""
        found = self._transport.items(path_of("retention", "audits"), "audits")
        return list(parsed_all(Audit, found))

    def audit(self, destination: str | None = None, *, read_data: bool = False) -> None:
        """Has one store or all compared with the catalogue as soon as possible. `read_data`: and
        every byte of the snapshots there read."""
        body: Words = {} if destination is None else {"destinationId": destination}
        if read_data:
            body["readData"] = True
        self._transport.post(path_of("retention", "audits"), body)
