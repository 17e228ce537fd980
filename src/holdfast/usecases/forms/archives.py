"""Request bodies of archives and of recoveries; see `forms.py`."""

from typing import Annotated

from pydantic import Field

from holdfast.usecases.forms.forms import Days, StrictForm


class ArchiveForm(StrictForm):
    days: Days | None = Field(
        default=None, description="How many days back any instant can be restored; 7 at first."
    )
    interval_seconds: Annotated[int, Field(strict=True, ge=1, le=60)] | None = Field(
        default=None, description="Every so often what is new is stored; 10 at first."
    )
    unbounded: Annotated[bool, Field(strict=True)] = Field(
        default=False,
        description="Attached servers only: accepts that nothing limits the log which the server"
        " keeps for us while we are away.",
    )


class RecoveryForm(StrictForm):
    """Exactly one target. `targetTimestamp` is a time with an offset."""

    target_timestamp: Annotated[str, Field(max_length=60)] | None = None
    before_transaction: Annotated[str, Field(max_length=60)] | None = Field(
        default=None, description="Extension: the state right before this transaction."
    )
    with_transaction: Annotated[str, Field(max_length=60)] | None = Field(
        default=None, description="Extension: the state right after this transaction."
    )
    target_position: Annotated[str, Field(max_length=60)] | None = Field(
        default=None, description="Extension: all that committed up to this position of the log."
    )
    target_name: Annotated[str, Field(min_length=1, max_length=63)] | None = Field(
        default=None,
        description="Extension: the point of this name in the log (pg_create_restore_point).",
    )
    line: Annotated[str, Field(max_length=100)] | None = Field(
        default=None,
        description="Extension: of several histories the one that a list of changes named.",
    )
    inclusive: Annotated[bool, Field(strict=True)] = Field(
        default=True, description="Extension: with what happened exactly then."
    )


class MarkForm(StrictForm):
    name: Annotated[str, Field(min_length=1, max_length=63)]
