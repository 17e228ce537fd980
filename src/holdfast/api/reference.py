"""Serves the OpenAPI 3.1 document, and a page that shows it without outside resources."""

import json
from functools import cached_property
from html import escape
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.routing import APIRoute
from pydantic.alias_generators import to_camel
from starlette.responses import HTMLResponse, Response

from holdfast.views.shapes.base import ErrorEnvelope

router = APIRouter(include_in_schema=False)

Document = dict[str, Any]

_ENVELOPE = {"application/json": {"schema": {"$ref": "#/components/schemas/ErrorEnvelope"}}}
# By reference: for a model the framework would make a validator for each status of each route. One
# route names the model, so that the document has its schema.
ERRORS: dict[int | str, Document] = {
    status: {"description": text, "content": _ENVELOPE}
    for status, text in {
        400: "Something in the request is not valid; `details` names each field.",
        401: "No token, or one that is unknown, expired or revoked.",
        403: "The token lacks the permission that the message names.",
        404: "There is no such thing, or the token may not see it.",
        409: "The current state does not allow this.",
        413: "The request body is too large.",
        415: "The request body is not what its content type must be.",
        429: "Too many requests; `Retry-After` says for how many seconds.",
        503: "Something needed is out of reach just now.",
    }.items()
}

ENVELOPE: dict[int | str, Document] = {503: {**ERRORS[503], "model": ErrorEnvelope}}


def operation_id(route: APIRoute) -> str:
    """Returns the name for generated clients: `createBackup` for `create_backup`."""
    return to_camel(route.name)


class Reference:
    """The document, made on first use: describing every route takes longer than starting."""

    def __init__(self, app: FastAPI) -> None:
        self._app = app

    @cached_property
    def document(self) -> Document:
        return describe(self._app)

    @cached_property
    def text(self) -> str:
        return json.dumps(self.document, separators=(",", ":"))

    @cached_property
    def page(self) -> str:
        return page_of(self.document)


def describe(app: FastAPI) -> Document:
    """Returns FastAPI's document with our envelope instead of its own 422, and bearer tokens."""
    document: Document = app.openapi()
    for path, operations in document["paths"].items():
        for operation in operations.values():
            operation["responses"].pop("422", None)
            # Open: health for supervisors, links that are their own permission, a public key.
            if path.startswith("/v1/") and not path.startswith(("/v1/downloads/", "/v1/proof/key")):
                operation["security"] = [{"token": []}]
    components = document["components"]
    for unused in ("HTTPValidationError", "ValidationError"):
        components["schemas"].pop(unused, None)
    components["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    document["info"]["description"] = (
        "Every path below `/v1` also exists below `/v1/teams/{teamId}`. "
        "Success is always HTTP 200 with `data`; errors come as `error`."
    )
    return document


@router.get("/v1/swagger-json")
def swagger_json(request: Request) -> Response:
    return Response(request.app.state.reference.text, media_type="application/json")


@router.get("/v1/swagger-html")
def swagger_html(request: Request) -> Response:
    return HTMLResponse(request.app.state.reference.page)


_STYLE = """
body{font:16px/1.5 system-ui,sans-serif;color:#1d2733}
body{max-width:64rem;margin:2rem auto;padding:0 1rem}
h1{margin-bottom:0}h2{margin-top:2.5rem;border-bottom:1px solid #d7dee6}
details{border:1px solid #d7dee6;border-radius:6px;margin:.4rem 0;padding:.4rem .8rem}
summary{cursor:pointer}code,pre{font:14px/1.45 ui-monospace,monospace}
pre{background:#f4f7fa;padding:.8rem;overflow:auto;border-radius:6px}
b.m{display:inline-block;width:4.5rem}table{border-collapse:collapse}
td{padding:.1rem .8rem .1rem 0;vertical-align:top}
"""


def page_of(document: Document) -> str:
    """Returns one readable page: an entry per operation, grouped by tag."""
    groups: dict[str, list[str]] = {}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            tag = operation.get("tags", ["other"])[0]
            groups.setdefault(tag, []).append(_entry(document, method, path, operation))
    sections = "".join(f"<h2>{escape(tag)}</h2>{''.join(e)}" for tag, e in groups.items())
    info = document["info"]
    return (
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{escape(info['title'])}</title>"
        f"<style>{_STYLE}</style><h1>{escape(info['title'])} {escape(info['version'])}</h1>"
        f"<p>{escape(info['description'])} The machine-readable form: "
        f"<a href=swagger-json>swagger-json</a>.</p>{sections}</html>"
    )


def _entry(document: Document, method: str, path: str, operation: Document) -> str:
    about = escape(operation.get("description") or operation.get("summary", ""))
    parameters = "".join(
        f"<tr><td><code>{escape(p['name'])}</code><td>{escape(p['in'])}"
        f"<td>{escape(p.get('description', ''))}"
        for p in operation.get("parameters", [])
    )
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    fields = _fields(document, body.get("schema", {}))
    return (
        f"<details><summary><b class=m>{method.upper()}</b><code>{escape(path)}</code></summary>"
        f"<p>{about}</p><table>{parameters}</table>{fields}</details>"
    )


def _fields(document: Document, schema: Document) -> str:
    """Returns the body's fields, one level deep: enough to write a request by hand."""
    name = schema.get("$ref", "").rpartition("/")[2]
    model = document["components"]["schemas"].get(name, {})
    required = set(model.get("required", []))
    rows = "".join(
        f"<tr><td><code>{escape(field)}</code><td>{'required' if field in required else ''}"
        f"<td>{escape(str(about.get('description', '')))}"
        for field, about in model.get("properties", {}).items()
    )
    return f"<p>Body:</p><table>{rows}</table>" if rows else ""
