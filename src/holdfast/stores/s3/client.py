"""The vendor's client, configured here once; the rest of this folder knows this Protocol only.

Nothing of the machine's own AWS settings is used: a store is what its options say. The client's
own retries are off, because ours know what may be repeated; its own checksums are off, because
services other than AWS reject them.
"""

import os
from collections.abc import Mapping
from typing import Any, Protocol, cast

from botocore.config import Config  # pyright: ignore[reportMissingTypeStubs]
from botocore.session import Session  # pyright: ignore[reportMissingTypeStubs]

from holdfast.stores.s3.options import Options

Answer = Mapping[str, Any]

_ISOLATED = {
    "profile": (None, None, None, None),
    "config_file": (None, None, os.devnull, None),
    "credentials_file": (None, None, os.devnull, None),
}


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
    """Talks to nobody yet."""
    session: Any = Session(session_vars=_ISOLATED)
    client = session.create_client(
        "s3",
        region_name=options.region,
        endpoint_url=options.endpoint_url,
        aws_access_key_id=options.access_key.reveal(),
        aws_secret_access_key=options.secret_key.reveal(),
        config=_config(options),
    )
    return cast("Client", client)


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
