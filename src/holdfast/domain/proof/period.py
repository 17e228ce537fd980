"""The period that a report is about."""

from holdfast.domain.units import DAY_MS

MAX_DAYS = 366
"""A year, with its leap day: more is several reports."""


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
