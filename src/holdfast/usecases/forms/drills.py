"""What callers may send about drills."""

from typing import Annotated, Self

from pydantic import Field, field_validator, model_validator

from holdfast.domain.proof.drill import MAX_ASSERTION_SECONDS, MAX_ASSERTIONS, MAX_KEEP_MINUTES
from holdfast.usecases.forms.forms import StrictForm

_Text = Annotated[str, Field(min_length=1, max_length=10_000)]


class DrillForm(StrictForm):
    """`backupId` left out: the newest good backup. `targetTimestamp`, a time with an offset: this
    moment of the addon's archive instead. `keepMinutes`: how long the restored server stays for
    people and scripts to look at."""

    backup_id: Annotated[str, Field(min_length=1, max_length=100)] | None = None
    target_timestamp: Annotated[str, Field(max_length=60)] | None = None
    keep_minutes: int = Field(default=0, ge=0, le=MAX_KEEP_MINUTES)

    @model_validator(mode="after")
    def _one_point(self) -> Self:
        if self.backup_id is not None and self.target_timestamp is not None:
            raise ValueError("backupId and targetTimestamp exclude each other")
        return self


class OpinionForm(StrictForm):
    passed: bool
    note: Annotated[str, Field(max_length=2_000)] = ""


class DrillPlanForm(StrictForm):
    """What is left out goes back to the default."""

    scheduled: bool = True
    after_backup: bool = False
    compare_content: bool = True


class AssertionForm(StrictForm):
    """`text` is one statement of the addon's own language, whose first value must be true."""

    name: Annotated[str, Field(min_length=1, max_length=100)]
    text: _Text
    seconds: int = Field(default=30, ge=1, le=MAX_ASSERTION_SECONDS)
    database: Annotated[str, Field(min_length=1, max_length=200)] | None = None


class AssertionsForm(StrictForm):
    assertions: list[AssertionForm] = Field(max_length=MAX_ASSERTIONS)

    @field_validator("assertions")
    @classmethod
    def _named_once(cls, assertions: list[AssertionForm]) -> list[AssertionForm]:
        names = [assertion.name for assertion in assertions]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"two assertions are named {name!r}; each needs a name of its own")
        return assertions
