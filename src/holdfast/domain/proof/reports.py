"""Signed reports: what period one may have, and the chain in which a missing or changed one shows.

Reports of one installation are numbered without a gap, whatever they are about. Each names the
report before it, and the last one of its own scope (a project, or all of them), because who may
see one project's reports only has no others.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from holdfast.domain.units import DAY_MS

FORMAT = "holdfast-proof/1"
MAX_DAYS = 366
"""The longest period of a report, a year with its leap day: more is several reports."""


def problems(since: int, until: int, now: int) -> dict[str, str]:
    """What is wrong with a period [`since`, `until`), in ms since 1970, by field of the request."""
    by_field: dict[str, str] = {}
    if since >= until:
        by_field["from"] = "must be before `to`, which is not part of the period itself"
    elif until - since > MAX_DAYS * DAY_MS:
        by_field["from"] = (
            f"is more than {MAX_DAYS} days before `to`: ask for several reports, one after the"
            " other"
        )
    if until > now:
        by_field["to"] = "is in the future: give an instant that has passed, or leave it out"
    return by_field


@dataclass(frozen=True)
class Link:
    """A report that another one names: its number, and the hex sha256 of its JSON."""

    number: int
    sha256: str


@dataclass(frozen=True)
class Position:
    """A report's place in the chain: its number, the report before it, and the last one before it
    of its own scope."""

    number: int
    previous: Link | None
    scope_previous: Link | None


@dataclass(frozen=True)
class Claim:
    """What a report says of itself. `project` None: it is about all projects; `sha256` is that of
    its JSON as it was read."""

    number: int
    project: str | None
    sha256: str
    previous: Link | None
    scope_previous: Link | None

    @property
    def scope(self) -> str:
        return "all projects" if self.project is None else f"project {self.project}"

    @property
    def links(self) -> Iterator[Link]:
        for link in (self.previous, self.scope_previous):
            if link is not None:
                yield link


def breaks(claims: Collection[Claim]) -> list[str]:
    """What does not fit together, in sentences; the order of the reports does not matter."""
    in_order = sorted(claims, key=lambda claim: claim.number)
    by_number: dict[int, Claim] = {}
    sentences: list[str] = []
    for claim in in_order:
        twin = by_number.setdefault(claim.number, claim)
        if twin.sha256 != claim.sha256:
            sentences.append(f"there are two different reports {claim.number}")
    last_of_scope: dict[str | None, Claim] = {}
    for claim in by_number.values():
        for link in dict.fromkeys(claim.links):
            linked = by_number.get(link.number)
            if linked is not None and linked.sha256 != link.sha256:
                sentences.append(
                    f"report {claim.number} follows another report {link.number} than the one"
                    " here: one of the two was changed or replaced"
                )
        sentences += gap_before(claim, last_of_scope.get(claim.project), by_number)
        last_of_scope[claim.project] = claim
    return sentences


def gap_before(claim: Claim, before: Claim | None, by_number: dict[int, Claim]) -> Iterator[str]:
    """`before` is the last report of the same scope that is here."""
    link = claim.scope_previous
    if before is not None and link is not None and link.number not in by_number:
        yield (
            f"report {link.number} ({claim.scope}) is missing: report {claim.number} follows it,"
            f" and the last one here is {before.number}"
        )
    if before is not None and (link is None or link.number < before.number):
        yield (
            f"report {claim.number} ({claim.scope}) does not follow report {before.number}: one of"
            " the two is not of this chain"
        )


def beginnings(claims: Collection[Claim]) -> list[str]:
    """Which earlier reports are not here, by scope: no break, for who asked for later ones only."""
    first: dict[str | None, Claim] = {}
    for claim in sorted(claims, key=lambda claim: claim.number):
        first.setdefault(claim.project, claim)
    return [
        f"the reports about {claim.scope} begin with {claim.number} here; before it is report"
        f" {claim.scope_previous.number}, which is not here"
        for claim in first.values()
        if claim.scope_previous is not None
    ]
