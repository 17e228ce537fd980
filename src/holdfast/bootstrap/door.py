"""Puts the dashboard in front of the API: one listener, and who answers what."""

from fastapi import FastAPI
from starlette.types import ASGIApp, Receive, Scope, Send

from holdfast.kit.seal import Secret
from holdfast.settings import Settings
from holdfast.web.pages.settings import SettingLine

_API_PATHS = frozenset({"v1", "ping", "healthz", "readyz", "metrics"})
"""The first parts of the paths that programs ask for."""


class Door:
    """Sends what programs ask for to the API, and everything else to the dashboard."""

    def __init__(self, api_app: ASGIApp, dashboard: FastAPI) -> None:
        self._api_app = api_app
        self._dashboard = dashboard

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = str(scope.get("path", "")).lstrip("/")
        first, _, _ = path.partition("/")
        is_api = scope["type"] == "lifespan" or first in _API_PATHS
        await (self._api_app if is_api else self._dashboard)(scope, receive, send)

    def close(self) -> None:
        """Ends live pages, which would keep the process from ending."""
        self._dashboard.state.live.close()


def end_live_pages(app: object) -> None:
    """Ends the streams of open pages, if the application has any."""
    if isinstance(app, Door):
        app.close()


def settings_in_force(settings: Settings) -> list[SettingLine]:
    """Every setting for people: secrets, and addresses that may hold one, are left out."""
    lines: list[SettingLine] = []
    for name, field in Settings.model_fields.items():
        value = getattr(settings, name)
        is_secret = isinstance(value, Secret) or (name == "database_url" and value)
        line = SettingLine(
            name=f"HOLDFAST_{name.upper()}",
            value="(set)" if is_secret else "" if value is None else str(value),
            source="default" if name not in settings.model_fields_set else "set",
            description=field.description or "",
        )
        lines.append(line)
    return lines
