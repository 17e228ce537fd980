"""Builds the HTTP API, the dashboard over it, and their listener."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import uvicorn
from fastapi import FastAPI
from starlette.types import ASGIApp

from holdfast import settings as config
from holdfast.api.app import create_app
from holdfast.bootstrap.door import Door, settings_in_force
from holdfast.bootstrap.parts import Parts
from holdfast.bootstrap.policy import policy_of
from holdfast.bootstrap.single_sign_on import single_sign_on
from holdfast.channels.registry import complete_channel, open_channel
from holdfast.conformance.store import check_store
from holdfast.contracts.store import ObjectStore
from holdfast.domain.errors import NotSupported
from holdfast.engines.registry import ENGINES
from holdfast.http import serving
from holdfast.http.limits.bounds import Bounds
from holdfast.http.limits.live_logs import Tails
from holdfast.http.limits.throttle import Throttle
from holdfast.http.state import Api
from holdfast.kit.fetch import Network, parse_networks
from holdfast.kit.sign import Signer
from holdfast.settings import Settings
from holdfast.stores.registry import open_store, settle
from holdfast.web.app import create_dashboard


def build_api(parts: Parts) -> FastAPI:
    return create_app(_shared(parts))


def build_door(parts: Parts) -> ASGIApp:
    """The API, with the dashboard in front unless a setting leaves it out."""
    api = _shared(parts)
    api_app = create_app(api)
    api_app.state.has_dashboard = parts.settings.dashboard
    if not parts.settings.dashboard:
        return api_app
    in_force, single = settings_in_force(parts.settings), single_sign_on(parts)
    return Door(api_app, create_dashboard(api, api_app, in_force, single))


def _shared(parts: Parts) -> Api:
    settings, bounds = parts.settings, bounds_of(parts.settings)
    return Api(
        catalog=parts.catalog,
        services=parts.services,
        policy=policy_of(settings),
        clock=parts.clock,
        data_dir=settings.data_dir,
        team=settings.team,
        public_url=settings.public_url.rstrip("/"),
        mask_secrets=settings.mask_secrets,
        bounds=bounds,
        throttle=Throttle(bounds, parts.clock),
        tails=Tails(bounds),
        proxies=_proxies(settings),
        signer=Signer(parts.master, "download"),
        stamp=parts.stamp,
        engine_kinds=tuple(ENGINES),
        engines=parts.engine,
        open_store=parts.store,
        try_store=_open_s3,
        settle_store=settle,
        locate=parts.locate,
        check_store=_first_problem,
        open_channel=open_channel,
        complete_channel=complete_channel,
        stored_bytes=parts.stored_bytes,
        platform_directory=parts.platform_directory,
    )


def bounds_of(settings: Settings) -> Bounds:
    """Limits of what clients may take of this process, from the settings of the same names."""
    return Bounds(**{bound.name: getattr(settings, bound.name) for bound in fields(Bounds)})


def listener_config(parts: Parts) -> uvicorn.Config:
    """The configuration of the API's listener: TLS if there is a certificate."""
    settings = parts.settings
    tls, proxies = config.tls_files(settings), _proxies(settings)
    return serving.config(build_door(parts), bounds_of(settings), tls, proxies)


def _proxies(settings: Settings) -> tuple[Network, ...]:
    return parse_networks(settings.trusted_proxies, "trusted_proxies")


def _open_s3(kind: str, options: Mapping[str, Any]) -> ObjectStore:
    if kind != "s3":
        raise NotSupported(f"destinations of type {kind!r} cannot be added")
    return open_store(kind, options)


def _first_problem(store: ObjectStore, prefix: str) -> str | None:
    broken = check_store(store, prefix).broken
    return f"{broken.name}: {broken.detail}" if broken else None
