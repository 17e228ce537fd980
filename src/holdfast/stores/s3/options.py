"""The settings of an S3 store."""

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    WithJsonSchema,
    field_validator,
)

from holdfast.kit.seal import Secret

_LABEL = r"[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?"
_ENDPOINT = re.compile(
    rf"(https?://)?({_LABEL}(\.{_LABEL})*|\[[0-9A-Fa-f:]+\])(:[0-9]{{1,5}})?(/[A-Za-z0-9._-]+)*"
)


_R2 = ".r2.cloudflarestorage.com"
"""developers.cloudflare.com/r2/objects/multipart-objects"""


SecretText = Annotated[
    Secret,
    BeforeValidator(lambda value: Secret(value) if isinstance(value, str) else value),
    PlainSerializer(str, return_type=str),
    WithJsonSchema({"type": "string", "format": "password"}),
]


class Options(BaseModel):
    model_config = ConfigDict(
        extra="forbid", frozen=True, arbitrary_types_allowed=True, hide_input_in_errors=True
    )

    access_key: SecretText = Field(description="Access key id.")
    secret_key: SecretText = Field(description="Secret access key.")
    bucket_name: str = Field(
        min_length=3,
        max_length=255,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]+$",
        description="An existing bucket.",
    )
    region: str = Field(
        "us-east-1",
        max_length=63,
        pattern=rf"^({_LABEL})?$",
        description="Region the service signs for.",
    )
    endpoint: str = Field(
        "", description="Host or URL of the service; https without a scheme; empty is AWS."
    )
    prefix: str = Field(
        "", pattern=r"^([A-Za-z0-9_-]+/)*$", description="Put before every key; ends with a slash."
    )
    addressing: Literal["auto", "path", "virtual"] = Field(
        "auto", description="Bucket in the path or in the host name; auto: path unless AWS."
    )
    checksum: Literal["none", "md5", "crc32", "sha256"] = Field(
        "none", description="Checksum sent with each part, for services that verify one."
    )
    max_parts: int | None = Field(
        None,
        ge=100,
        le=10_000,
        description="How many parts the service allows per object. Without it parts grow so fast"
        " that 1,000 are enough for 5 TB.",
    )
    equal_parts: bool | None = Field(
        None,
        description="The service wants all parts but the last to be of one size. Without it that"
        " is assumed of Cloudflare's R2 alone.",
    )
    spool: Path | None = Field(
        None,
        description="Where parts over 128 MiB are kept while they are sent: up to two at a time,"
        " 5 GiB each at most. Without it the system's directory for large temporary files.",
    )
    attempts: int = Field(
        7, ge=1, le=20, description="How often a request is tried while the failure is temporary."
    )

    @field_validator("endpoint")
    @classmethod
    def _known_scheme(cls, value: str) -> str:
        value = value.strip().removesuffix("/")
        if value and not _ENDPOINT.fullmatch(value):
            raise ValueError("must be a host, http://host or https://host, with an optional port")
        return value

    @field_validator("region")
    @classmethod
    def _some_region(cls, value: str) -> str:
        """Refuses what is no part of a host name, because the vendor's client makes one of it."""
        if value.isdigit() or value.startswith("-") or value.endswith("-"):
            raise ValueError("must be a name such as us-east-1")
        return value or "us-east-1"

    @property
    def endpoint_url(self) -> str | None:
        """The endpoint with a scheme; None for AWS's own endpoint of the region."""
        if not self.endpoint or "://" in self.endpoint:
            return self.endpoint or None
        return f"https://{self.endpoint}"

    def location(self, key: str) -> str:
        service = self.endpoint_url or f"https://s3.{self.region}.amazonaws.com"
        return f"s3:{service}/{self.bucket_name}/{self.prefix}{key}".rstrip("/")

    @property
    def wants_equal_parts(self) -> bool:
        if self.equal_parts is not None:
            return self.equal_parts
        return self._host.endswith(_R2)

    @property
    def _host(self) -> str:
        return self.endpoint.rpartition("://")[2].partition("/")[0].partition(":")[0]

    @property
    def addressing_style(self) -> str:
        """The addressing for botocore, whose `auto` suits AWS alone."""
        if self.addressing != "auto":
            return self.addressing
        host = self._host
        aws = not host or host.endswith((".amazonaws.com", ".amazonaws.com.cn"))
        return "auto" if aws else "path"
