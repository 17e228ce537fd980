"""The parts that routes work with, built once by bootstrap and kept on the application."""

import asyncio
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, cast

from fastapi import Depends, Request
from starlette.requests import HTTPConnection

from holdfast.catalog.database.session import Catalog
from holdfast.contracts.engine import Engine
from holdfast.contracts.store import ObjectStore
from holdfast.domain.retention.rules import Policy
from holdfast.http.callers import Callers
from holdfast.http.limits.bounds import Bounds
from holdfast.http.limits.live_logs import Tails
from holdfast.http.limits.throttle import Throttle
from holdfast.http.limits.turns import Turns
from holdfast.kit.clock import Clock
from holdfast.kit.fetch import Network
from holdfast.kit.sign import Signer, Stamp
from holdfast.kit.sign_in.passwords import Hasher
from holdfast.usecases.alarms.channels import Complete
from holdfast.usecases.alarms.sending import OpenChannel
from holdfast.usecases.context import Services
from holdfast.views.metrics.stored import StoredBytes

_STORED_AT_ONCE = 4
_READS_AT_ONCE = 4


@dataclass(frozen=True)
class Api:
    """The parts of one installation.

    `open_store` takes a destination's pk; `try_store` a kind and options that are not stored;
    `settle_store` finds settings that such a store needs beside the chosen ones; `locate` returns
    the address of a key as the stock `restic` takes it.
    """

    catalog: Catalog
    services: Services
    policy: Policy
    clock: Clock
    data_dir: Path
    team: str
    public_url: str
    mask_secrets: bool
    bounds: Bounds
    throttle: Throttle
    tails: Tails
    proxies: tuple[Network, ...]
    signer: Signer
    stamp: Stamp
    engine_kinds: tuple[str, ...]
    engines: Callable[[str], Engine]
    open_store: Callable[[int | None], ObjectStore]
    try_store: Callable[[str, Mapping[str, Any]], ObjectStore]
    settle_store: Callable[[str, Mapping[str, Any], Collection[str]], Mapping[str, object]]
    locate: Callable[[int | None, str], str]
    check_store: Callable[[ObjectStore, str], str | None]
    open_channel: OpenChannel
    complete_channel: Complete
    stored_bytes: StoredBytes
    platform_directory: Path | None = None
    """Where the platform's own store is on this machine; None: elsewhere."""
    hasher: Hasher = field(default_factory=Hasher)
    storing: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_STORED_AT_ONCE))
    """Bounds parts of uploads on their way to the store, which may keep each in memory."""

    @cached_property
    def turns(self) -> Turns:
        """Reader threads: one for SQLite; PostgreSQL works outside this process."""
        return Turns(1 if self.catalog.is_sqlite else _READS_AT_ONCE)

    @cached_property
    def callers(self) -> Callers:
        return Callers(self.catalog, self.clock, self.turns)

    @property
    def team_id(self) -> str:
        return self.team or "default"


def of(connection: HTTPConnection) -> Api:
    return cast("Api", connection.app.state.api)


async def of_request(request: Request) -> Api:
    return of(request)


State = Annotated[Api, Depends(of_request)]
