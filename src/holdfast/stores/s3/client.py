"""Configures the vendor's client; the rest of this folder knows the `Client` protocol only.

The machine's own AWS settings are ignored: a store is what its options say. The client's retries
are off, because ours know what may be repeated; its checksums are off, because services other than
AWS reject them.
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


_SESSION_LOCK = threading.Lock()
"""Two threads may not use a session at once; they may use the clients it makes."""


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
    """Makes a client, without a request. Raises Invalid for an endpoint that is no address."""
    new_config: Any = Config
    config = new_config(
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
    with _SESSION_LOCK:
        try:
            client = _session().create_client(
                "s3",
                region_name=options.region,
                endpoint_url=options.endpoint_url,
                aws_access_key_id=options.access_key.reveal(),
                aws_secret_access_key=options.secret_key.reveal(),
                config=config,
            )
        except ValueError:
            problem = "is not the address of a service"
            raise Invalid(f"the endpoint {problem}", {"endpoint": problem}) from None
    return cast("Client", client)


@cache
def _session() -> Any:
    """Returns the one session: it keeps 13 MB of the service's description, no credentials."""
    new_session: Any = Session
    return new_session(session_vars=_ISOLATED)
