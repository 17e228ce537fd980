"""Configures uvicorn, with our own connections, to serve the API."""

import ssl
from functools import partial
from typing import Any, cast

import uvicorn
from starlette.types import ASGIApp

from holdfast.domain.errors import Invalid
from holdfast.http.connection import LimitedConnection
from holdfast.http.limits.bounds import Bounds
from holdfast.kit.fetch import Network

_PING_SECONDS = 20.0
_FRAME_BYTES = 64 << 10
"""The only frame that a client has to send carries a token."""


def config(
    app: ASGIApp,
    bounds: Bounds,
    tls: tuple[str, str] | None,
    proxies: tuple[Network, ...],
) -> uvicorn.Config:
    """Makes the configuration. `tls` are the files of a certificate and its key.

    Raises Invalid when they do not fit.
    """
    config = uvicorn.Config(
        app,
        http=cast("Any", partial(LimitedConnection, bounds=bounds, proxies=proxies)),
        loop="asyncio",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # http/arrival.py reads them, by a setting of ours
        timeout_keep_alive=max(1, round(bounds.idle_timeout)),
        timeout_graceful_shutdown=10,
        ws="websockets-sansio",
        ws_ping_interval=_PING_SECONDS,
        ws_ping_timeout=_PING_SECONDS,
        ws_max_size=_FRAME_BYTES,
        ssl_certfile=tls[0] if tls else None,
        ssl_keyfile=tls[1] if tls else None,
    )
    try:
        config.load()
    except (ssl.SSLError, OSError) as error:
        problem = f"tls_certificate and tls_key cannot be used: {error}"
        raise Invalid(problem, {"tls_certificate": problem}) from error
    return config
