"""What callers may send about signed reports."""

from typing import Annotated

from pydantic import AfterValidator, Field

from holdfast.kit.clock import parse_rfc3339
from holdfast.usecases.forms.forms import StrictForm


def _instant(text: str) -> str:
    try:
        parse_rfc3339(text)
    except (ValueError, OverflowError):
        raise ValueError(
            "must be a day such as 2026-10-01, which begins at 00:00 UTC, or an instant such as"
            " 2026-10-01T03:00:00Z"
        ) from None
    return text


_Instant = Annotated[str, Field(max_length=60, examples=["2026-10-01"]), AfterValidator(_instant)]


class ReportForm(StrictForm):
    """`to` is not part of the period; left out: now. `projectId` left out: all projects."""

    since: _Instant = Field(alias="from")
    until: _Instant | None = Field(default=None, alias="to")
    project_id: Annotated[str, Field(min_length=1, max_length=100)] | None = None
