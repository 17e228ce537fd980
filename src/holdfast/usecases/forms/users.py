"""Request bodies about users and their roles."""

from typing import Annotated

from pydantic import Field, SecretStr

from holdfast.domain import naming
from holdfast.usecases.forms.forms import StrictForm
from holdfast.usecases.forms.texts import Matching

USER_NAME = r"[^\s\x00-\x1f\x7f<>\"'](?:[^\x00-\x1f\x7f<>\"]*[^\s\x00-\x1f\x7f<>\"])?"

UserName = Annotated[str, Field(min_length=1, max_length=100), Matching(USER_NAME, "mara")]
_Role = Annotated[str, Field(min_length=1, max_length=60)]
_Projects = list[Annotated[str, Field(max_length=60)]]
_Days = Annotated[int, Field(ge=1, le=3650)]


class UserForm(StrictForm):
    name: UserName
    role: _Role
    projects: _Projects | None = Field(default=None, description="Only these; else all.")
    expires_in_days: _Days | None = None
    password: SecretStr | None = Field(
        default=None, description="Without one the answer has a link to choose one."
    )


class UserPatch(StrictForm):
    role: _Role | None = None
    projects: _Projects | None = Field(
        default=None, description="Only these from now on; an empty list means all."
    )
    expires_in_days: _Days | None = None
    disabled: Annotated[bool, Field(strict=True)] | None = None


class ResetForm(StrictForm):
    second_factors: Annotated[bool, Field(strict=True)] = Field(
        default=False, description="Forget the authenticator, passkeys and recovery codes, too."
    )


class CliLoginForm(StrictForm):
    name: Annotated[str, Field(min_length=1, max_length=100)]
    role: _Role
    expires_in_hours: Annotated[int, Field(ge=1, le=24 * 365)] | None = None


RoleName = Annotated[str, Field(min_length=3, max_length=39), Matching(naming.NAME, "Operator")]


class RoleForm(StrictForm):
    name: RoleName
    permissions: Annotated[list[str], Field(min_length=1)]


class RolePatch(StrictForm):
    """Only what is sent is changed; the id stays."""

    name: RoleName | None = None
    permissions: Annotated[list[str], Field(min_length=1)] | None = None
