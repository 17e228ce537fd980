"""What retention plans, did and found."""

from collections.abc import Sequence

from holdfast.client.models.models import Words
from holdfast.client.models.upkeep import AddonPlan, Audit, Deletion, Finding, Pruned
from holdfast.client.transport.calls import Listing, Noun, R, Steps, ask, call, listing, post
from holdfast.client.transport.parse import parsed, parsed_all
from holdfast.client.transport.transport import path_of


class Retention(Noun[R]):
    @listing
    def plan(self, project: str | None = None, addon: str | None = None) -> Listing[AddonPlan]:
        """By addon, also of those that are gone; the newest addon first. Changes nothing."""
        chosen = {"projectId": project, "addonId": addon}
        query = {name: value for name, value in chosen.items() if value is not None}
        return Listing(AddonPlan, path_of("retention", "plan"), "addons", query)

    @call
    def prune(self, project: str, addon: str, share: float | None = None) -> Steps[Pruned]:
        """A prune run now. `share`: the most of the addon's backups that may go, up to 1."""
        path = path_of("projects", project, "addons", addon, "prune")
        body = {} if share is None else {"share": share}
        return parsed(Pruned, (yield from post(path, body)))

    @listing
    def deletions(self, *, only_open: bool = False) -> Listing[Deletion]:
        """The newest first."""
        query = {"open": "true"} if only_open else {}
        return Listing(Deletion, path_of("retention", "deletions"), "deletions", query)

    @listing
    def findings(self, kind: str | None = None) -> Listing[Finding]:
        """Of one kind (`lost`, `leftover`, `foreign`) or of all, the newest first."""
        query = {} if kind is None else {"kind": kind}
        return Listing(Finding, path_of("retention", "findings"), "findings", query)

    @call
    def audits(self) -> Steps[Sequence[Audit]]:
        """When each store was compared with the catalogue last."""
        turning = Listing(Audit, path_of("retention", "audits"), "audits").turning()
        return list(parsed_all(Audit, turning.take((yield from ask(turning.request)))))

    @call
    def audit(self, destination: str | None = None, *, read_data: bool = False) -> Steps[None]:
        """Has one store or all compared with the catalogue as soon as possible. `read_data`: and
        every byte of the snapshots there read."""
        body: Words = {} if destination is None else {"destinationId": destination}
        if read_data:
            body["readData"] = True
        yield from post(path_of("retention", "audits"), body)
