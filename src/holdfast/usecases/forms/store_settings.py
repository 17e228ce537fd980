"""Settings of the service behind a destination."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel


class StoreSettings(BaseModel):
    """Settings of a service. Those that were not sent are found out by probing."""

    model_config = ConfigDict(alias_generator=to_camel)

    max_parts: Annotated[int, Field(strict=True, ge=100, le=10_000)] | None = Field(
        default=None, description="Extension: how many parts the service allows per object."
    )
    equal_parts: Annotated[bool, Field(strict=True)] | None = Field(
        default=None, description="Extension: all parts but the last have to be of one size."
    )
    checksum: Literal["none", "md5", "crc32", "sha256"] | None = Field(
        default=None, description="Extension: the checksum that is sent with each part."
    )
    addressing: Literal["auto", "path", "virtual"] | None = Field(
        default=None,
        description="Extension: the bucket in the path or in the host name; auto: path unless AWS.",
    )

    def given(self) -> dict[str, Any]:
        """The settings that were sent, as the store driver takes them."""
        named = self.model_dump(include=set(StoreSettings.model_fields))
        return {name: value for name, value in named.items() if value is not None}


Granted = Annotated[
    list[Annotated[str, Field(max_length=60)]] | None,
    Field(description="Extension: projects that may use it beside its owner; null is the default."),
]
