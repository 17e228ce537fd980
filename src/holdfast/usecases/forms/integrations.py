"""What callers may send about notification integrations of the v1 API.

Unknown keys are ignored, as in the other bodies of that API that say nothing about safety.
"""

from typing import Annotated, Literal

from pydantic import Field

from holdfast.usecases.forms.forms import Form
from holdfast.usecases.forms.texts import DestinationName, Matching

NotificationType = Literal["RAW_WEBHOOK", "SLACK", "DISCORD", "TEAMS", "TEAMS_WORKFLOWS"]
Projects = Annotated[list[Annotated[str, Field(max_length=60)]], Field(max_length=100)]
Events = Annotated[dict[Annotated[str, Field(max_length=100)], bool], Field(max_length=200)]


class TagRestriction(Form):
    enabled: bool = False
    items: list[Annotated[str, Field(max_length=100)]] = Field(default_factory=list[str])
    match_condition: Annotated[str, Matching("and|or", "or")] = "or"


class Restrictions(Form):
    tags: TagRestriction = Field(default_factory=TagRestriction)


class NotificationForm(Form):
    """`events` by name; those that never happen here may only be false."""

    name: DestinationName
    type: NotificationType
    webhook: Annotated[str, Field(max_length=2_000)]
    secret: Annotated[str, Field(min_length=1, max_length=500)] | None = None
    restricted: bool = False
    restrictions: Restrictions = Field(default_factory=Restrictions)
    projects: Projects = Field(default_factory=list[str])
    events: Events


class NotificationPatch(Form):
    name: DestinationName | None = None
    webhook: Annotated[str, Field(max_length=2_000)] | None = None
    secret: Annotated[str, Field(min_length=1, max_length=500)] | None = None
    restricted: bool | None = None
    restrictions: Restrictions | None = None
    projects: Projects | None = None
    events: Events | None = None
