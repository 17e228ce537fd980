"""The base of all channels' settings, and types of their fields."""

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from holdfast.domain.errors import Invalid
from holdfast.kit.fetch import is_local_service_name, require_url


class Settings(BaseModel):
    """Keys are camelCase; unknown ones are refused, because a misspelt one would be silent."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        serialize_by_alias=True,
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
        str_max_length=5_000,
    )

    def __repr_args__(self) -> list[tuple[str, object]]:
        """Nothing: most of the settings are secrets, and a traceback may show the channel."""
        return []


def _is_url(url: str) -> str:
    try:
        require_url(url)
    except Invalid as error:
        raise ValueError(error.message) from None
    return _is_elsewhere(urlsplit(url).hostname or "", url)


def _is_elsewhere(host: str, value: str) -> str:
    if is_local_service_name(host):
        raise ValueError(f"{host} serves only the machine that asks")
    return value


Url = Annotated[str, AfterValidator(_is_url), Field(max_length=2_000)]
Host = Annotated[
    str,
    AfterValidator(lambda host: _is_elsewhere(host, host)),
    Field(min_length=1, max_length=253, pattern=r"^[A-Za-z0-9.:_-]+$"),
]
Token = Annotated[
    str, Field(min_length=1, max_length=500, pattern=r"^[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?$")
]
"""A key or a token, as it stands in a header: printable ASCII, no space at its ends."""


def origin_of(url: str) -> str:
    """The part of a URL that may be shown: the path and the query of many are their secret."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{host}{port}"
