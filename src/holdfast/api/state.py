"""What the routes work with, built once by bootstrap and kept on the application."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, cast

from fastapi import Depends, Request
from starlette.requests import HTTPConnection

from holdfast.catalog.session import Catalog
from holdfast.contracts.engine import Engine
from holdfast.contracts.store import ObjectStore
from holdfast.domain.retention import Policy
from holdfast.kit.clock import Clock
from holdfast.kit.fetch import Network
from holdfast.kit.sign import Signer
from holdfast.usecases.context import House


@dataclass(frozen=True)
class Api:
    """`open_store` takes a destination's pk; `try_store` a kind and options not kept anywhere;
    `locate` says where a key of a store is, in words that the stock snapshot tool takes."""

    catalog: Catalog
    house: House
    policy: Policy
    clock: Clock
    data_dir: Path
    team: str
    public_url: str
    mask_secrets: bool
    rate_limit: int
    proxies: tuple[Network, ...]
    signer: Signer
    engine_kinds: tuple[str, ...]
    engines: Callable[[str], Engine]
    open_store: Callable[[int | None], ObjectStore]
    try_store: Callable[[str, Mapping[str, Any]], ObjectStore]
    locate: Callable[[int | None, str], str]
    check_store: Callable[[ObjectStore, str], str | None]

    @property
    def team_id(self) -> str:
        return self.team or "default"


def of(connection: HTTPConnection) -> Api:
    return cast("Api", connection.app.state.api)


def _of_request(request: Request) -> Api:
    return of(request)


State = Annotated[Api, Depends(_of_request)]
