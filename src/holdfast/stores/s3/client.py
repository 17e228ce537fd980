"""The vendor's client, configured here once; the rest of this folder knows this Protocol only.

Nothing of the machine's own AWS settings is used: a store is what its options say. The client's
own retries are off, because ours know what may be repeated; its own checksums are off, because
services other than AWS reject them.
"""

import os
import threading
from collections.abc import Mapping
from functools import cache
from typing import Any, Protocol, cast

from botocore.config import Config  # pyright: ignore[reportMissingTypeStubs]
from botocore.session import Session  # pyright: ignore[reportMissingTypeStubs]

from holdfast.domain.errors import Invalid
from holdfast.stores.s3.options import Options

Answer = Mapping[str, Any]

_ISOLATED = {
    "profile": (None, None, None, None),
    "config_file": (None, None, os.devnull, None),
    "credentials_file": (None, None, os.devnull, None),
}


_ONE_AT_A_TIME = threading.Lock()
"""A session may not be used by two threads; the clients it makes may."""


class Client(Protocol):
    def put_object(self, **request: object) -> Answer: ...
    def get_object(self, **request: object) -> Answer: ...
    def head_object(self, **request: object) -> Answer: ...
    def delete_object(self, **request: object) -> Answer: ...
    def list_objects_v2(self, **request: object) -> Answer: ...
    def create_multipart_upload(self, **request: object) -> Answer: ...
    def upload_part(self, **request: object) -> Answer: ...
    def complete_multipart_upload(self, **request: object) -> Answer: ...
    def abort_multipart_upload(self, **request: object) -> Answer: ...
    def list_multipart_uploads(self, **request: object) -> Answer: ...


def connect(options: Options) -> Client:
    """Talks to nobody yet. Raises Invalid when no address can be made of the endpoint."""
    with _ONE_AT_A_TIME:
        try:
            client = _session().create_client(
                "s3",
                region_name=options.region,
                endpoint_url=options.endpoint_url,
                aws_access_key_id=options.access_key.reveal(),
                aws_secret_access_key=options.secret_key.reveal(),
                config=_config(options),
            )
        except ValueError:
            problem = "is not the address of a service"
            raise Invalid(f"the endpoint {problem}", {"endpoint": problem}) from None
    return cast("Client", client)


@cache
def _session() -> Any:
    """Shared, as it keeps 13 MB of the service's description; holds no credentials."""
    make: Any = Session
    return make(session_vars=_ISOLATED)


def _config(options: Options) -> Config:
    make: Any = Config
    return make(
        connect_timeout=10,
        read_timeout=60,
        tcp_keepalive=True,
        max_pool_connections=16,
        retries={"total_max_attempts": 1},
        signature_version="s3v4",
        s3={"addressing_style": options.addressing_style},
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        ignore_configured_endpoint_urls=True,
    )
