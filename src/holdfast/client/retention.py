"""Calls for retention: plan, prune, deletions, findings, store checks."""

from collections.abc import Sequence

from holdfast.client.models.models import Words
from holdfast.client.models.upkeep import AddonPlan, Audit, Deletion, Finding, Hold, Pruned
from holdfast.client.transport.calls import (
    Listing,
    Noun,
    R,
    Steps,
    ask,
    call,
    delete,
    get,
    listing,
    post,
    put,
)
from holdfast.client.transport.parse import parsed, parsed_all
from holdfast.client.transport.transport import path_of


class Retention(Noun[R]):
    @listing
    def plan(self, project: str | None = None, addon: str | None = None) -> Listing[AddonPlan]:
        """Plans by addon, with deleted ones; the newest addon first. Changes nothing."""
        chosen = {"projectId": project, "addonId": addon}
        query = {name: value for name, value in chosen.items() if value is not None}
        return Listing(AddonPlan, path_of("retention", "plan"), "addons", query)

    @call
    def prune(self, project: str, addon: str, share: float | None = None) -> Steps[Pruned]:
        """Prunes now. `share`: the most of the addon's backups that may be marked, up to 1."""
        path = path_of("projects", project, "addons", addon, "prune")
        body = {} if share is None else {"share": share}
        return parsed(Pruned, (yield from post(path, body)))

    @call
    def held(self) -> Steps[Hold]:
        """Tells whether retention is held, by whom and why."""
        return parsed(Hold, (yield from get(path_of("retention", "hold"))))

    @call
    def hold(self, reason: str) -> Steps[Hold]:
        """Stops retention of the whole installation: no backup goes because of its age."""
        return parsed(Hold, (yield from put(path_of("retention", "hold"), {"reason": reason})))

    @call
    def release(self) -> Steps[Hold]:
        """Lets retention go on, after the grace period."""
        yield from delete(path_of("retention", "hold"))
        return parsed(Hold, (yield from get(path_of("retention", "hold"))))

    @listing
    def deletions(self, *, only_open: bool = False) -> Listing[Deletion]:
        """Lists deletions, the newest first."""
        query = {"open": "true"} if only_open else {}
        return Listing(Deletion, path_of("retention", "deletions"), "deletions", query)

    @listing
    def findings(self, kind: str | None = None) -> Listing[Finding]:
        """Lists findings, of one kind (`lost`, `leftover`, `foreign`) or all, the newest first."""
        query = {} if kind is None else {"kind": kind}
        return Listing(Finding, path_of("retention", "findings"), "findings", query)

    @call
    def audits(self) -> Steps[Sequence[Audit]]:
        """Returns when each store was last compared with the catalogue."""
        pager = Listing(Audit, path_of("retention", "audits"), "audits").pager()
        return list(parsed_all(Audit, pager.take((yield from ask(pager.request)))))

    @call
    def audit(self, destination: str | None = None, *, read_data: bool = False) -> Steps[None]:
        """Orders a check of one store or all against the catalogue; `read_data`: with every byte of
        the snapshots there."""
        body: Words = {} if destination is None else {"destinationId": destination}
        if read_data:
            body["readData"] = True
        yield from post(path_of("retention", "audits"), body)
