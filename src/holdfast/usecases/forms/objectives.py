"""What callers may send about objectives."""

from pydantic import Field

from holdfast.usecases.forms.forms import StrictForm


class ObjectiveForm(StrictForm):
    """What is left out is up to the project's objective, then to the installation's, then to the
    default: the longest gap of the schedules and 15 minutes, no limit, 30 days, one store."""

    max_age_minutes: int | None = Field(default=None, ge=1, le=5_256_000)
    max_restore_minutes: int | None = Field(default=None, ge=1, le=525_600)
    proven_within_days: int | None = Field(default=None, ge=1, le=3_650)
    places: int | None = Field(default=None, ge=1, le=20)
