"""Renders templates: every value escaped, an unknown name is an error, answers gzipped."""

import gzip
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, cast

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse

from holdfast import __version__
from holdfast.http.arrival import id_of
from holdfast.web.frame import Frame
from holdfast.web.showing import charts, words
from holdfast.web.static_files import StaticFiles

_TEMPLATES = Path(__file__).parent / "templates"
_SMALL_BYTES = 1024

THEME, KEYS = "theme", "keys"
"""Cookies of a browser's own wishes: no account, no secret, read by the server so that a page is
never shown in the wrong colours first."""

HTMX = json.dumps(
    {
        "allowEval": False,
        "allowScriptTags": False,
        "includeIndicatorStyles": False,
        "historyCacheSize": 0,
        "refreshOnHistoryMiss": True,
        "selfRequestsOnly": True,
        "disableInheritance": False,
        "scrollBehavior": "auto",
        "timeout": 30_000,
    }
)


@dataclass(frozen=True)
class Page:
    """What `base.html` needs to know of a page. `crumbs` are names and addresses, the innermost
    last; `section` is the entry of the navigation; `live` names what its stream follows."""

    title: str
    section: str = ""
    crumbs: tuple[tuple[str, str], ...] = ()
    live: str = ""


@dataclass(frozen=True)
class Templates:
    static: StaticFiles = field(default_factory=StaticFiles)

    @cached_property
    def _environment(self) -> Environment:
        environment = Environment(
            loader=FileSystemLoader(_TEMPLATES),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
            extensions=["jinja2.ext.do"],
        )
        names = cast("dict[str, Any]", environment.globals)
        names.update(
            static=self.static.url, version=__version__, htmx=HTMX, words=words, charts=charts
        )
        filters = ("size", "duration", "age", "day", "day_time", "clock_time", "number", "sentence")
        by_name = cast("dict[str, Any]", environment.filters)
        by_name.update({name: getattr(words, name) for name in filters})
        by_name.update(
            moment=words.moment, ago=words.ago, in_words=words.in_words, advice=words.advice
        )
        return environment

    def text(self, name: str, context: Mapping[str, Any], part: str = "") -> str:
        """Renders a template, or one block of it that it defines itself."""
        template = self._environment.get_template(name)
        is_part = part in template.blocks and part != "content"
        layout = "part.html" if is_part else "base.html"
        return template.render(context, layout=layout, part=part)

    def icon(self, worst: object) -> str:
        """The address of the icon with a dot for the worst open alarm."""
        parts = cast("Any", self._environment.get_template("parts/ui.html").module)
        return str(parts.favicon(worst))


def templates_of(request: Request) -> Templates:
    return cast("Templates", request.app.state.templates)


def show(
    request: Request,
    name: str,
    page: Page,
    frame: Frame,
    context: Mapping[str, Any],
    status: int = 200,
) -> HTMLResponse:
    """Renders a whole page; for htmx, only the block of its template that the element that asks is
    named after."""
    everything = {
        **context,
        "request": request,
        "page": page,
        "frame": frame,
        "now": frame.now,
        "request_id": id_of(request),
        "theme": _choice(request, THEME, ("light", "dark")),
        "keys": _choice(request, KEYS, ("off",)),
    }
    part = request.headers.get("hx-target", "") if "hx-request" in request.headers else ""
    return html(request, templates_of(request).text(name, everything, part), status)


def _choice(request: Request, cookie: str, choices: tuple[str, ...]) -> str:
    value = request.cookies.get(cookie, "")
    return value if value in choices else ""


def html(request: Request, text: str, status: int = 200) -> HTMLResponse:
    """An answer of HTML, gzipped for those who take that."""
    content = text.encode()
    headers = {"vary": "accept-encoding, hx-request"}
    zips = "gzip" in request.headers.get("accept-encoding", "")
    if zips and len(content) >= _SMALL_BYTES:
        content = gzip.compress(content, 5, mtime=0)
        headers["content-encoding"] = "gzip"
    return HTMLResponse(content, status_code=status, headers=headers)
