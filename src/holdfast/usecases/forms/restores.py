"""Request bodies of restores; see `forms.py`."""

from typing import Annotated

from pydantic import Field

from holdfast.domain.differences import MAX_KEEP_OLD_HOURS
from holdfast.usecases.forms.forms import StrictForm
from holdfast.usecases.forms.texts import Hex24


class RestoreForm(StrictForm):
    replace: Annotated[bool, Field(strict=True)] = Field(
        default=False,
        description="Extension, snapshots only: where there is no room for a second copy, the "
        "present data may be removed before the restored data is there. If such a restore fails, "
        "the addon has no data.",
    )
    trusted: Annotated[bool, Field(strict=True)] = Field(
        default=False,
        description="Extension, for tokens of all projects: the caller vouches for a backup of"
        " another project, or one without our stamp. Its roles, owners and definers get their"
        " power back.",
    )

    accept_differences: list[str] = Field(
        default=[],
        max_length=100_000,
        description="Extension: the differences between the backup and what is restored that the"
        " caller has seen in the report of a failed restore, word for word. A new one still ends"
        " the restore.",
    )
    skip_failed_objects: Annotated[bool, Field(strict=True)] = Field(
        default=False,
        description="Extension, dumps only: objects that cannot be made and hold no data (views,"
        " indexes, constraints, code, grants) are left out, and named in the report.",
    )
    keep_old_hours: Annotated[int, Field(strict=True, ge=0, le=MAX_KEEP_OLD_HOURS)] | None = Field(
        default=None,
        description="Extension: how long the old data stays aside for an undo. By default 24 after"
        " a restore with accepted differences or skipped objects, and 0 else.",
    )
    locale: Annotated[str, Field(pattern=r"^[\w.@-]{1,63}$")] | None = Field(
        default=None,
        description="Extension, dumps of PostgreSQL only: databases whose own locale the target's"
        " machine does not have are made with this one, such as C.UTF-8.",
        examples=["C.UTF-8"],
    )


class AbortRestoreForm(StrictForm):
    restore_id: Hex24


class UndoRestoreForm(StrictForm):
    restore_id: Hex24
