"""What callers may send about alarms and channels."""

from typing import Annotated, Any

from pydantic import Field

from holdfast.domain.alarms.rules import Digest, Kind, Severity
from holdfast.usecases.forms.forms import StrictForm
from holdfast.usecases.forms.texts import DestinationName

_Project = Annotated[str, Field(min_length=1, max_length=60)]


class SnoozeForm(StrictForm):
    minutes: int = Field(ge=1, le=43_200, description="How long no reminder is sent.")


_Seconds = Annotated[int, Field(ge=1, le=31_536_000)]


class MonitorForm(StrictForm):
    name: DestinationName
    every_seconds: _Seconds = Field(description="A ping is expected this often.")
    grace_seconds: _Seconds = Field(
        300, description="How late it may be, and how long what began may go on."
    )


class MonitorPatch(StrictForm):
    """Only what is sent is changed."""

    name: DestinationName | None = None
    every_seconds: _Seconds | None = None
    grace_seconds: _Seconds | None = None


class ChannelForm(StrictForm):
    """`settings` are those of the kind, see docs/alarms.md; secrets among them are sealed."""

    name: DestinationName
    kind: Annotated[str, Field(min_length=1, max_length=40)]
    settings: dict[str, Any] = Field(default_factory=dict[str, Any])
    severity: Severity = Field(Severity.INFO, description="Only alarms as bad as this, or worse.")
    projects: Annotated[list[_Project], Field(min_length=1, max_length=100)] | None = Field(
        None, description="Only alarms about addons of these projects."
    )
    kinds: Annotated[list[Kind], Field(min_length=1)] | None = None
    resolved: bool = Field(True, description="Whether the end of an alarm is sent, too.")
    digest: Digest | None = None


class ChannelPatch(StrictForm):
    """Only what is sent is changed; `settings` are replaced as a whole."""

    name: DestinationName | None = None
    settings: dict[str, Any] | None = None
    severity: Severity | None = None
    projects: Annotated[list[_Project], Field(min_length=1, max_length=100)] | None = None
    kinds: Annotated[list[Kind], Field(min_length=1)] | None = None
    resolved: bool | None = None
    digest: Digest | None = None
