"""Channels: where messages are sent. Add one, test it, change what it gets, delete it."""

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from holdfast.domain.alarms.rules import Digest, Severity
from holdfast.web.forms import Form, split_list, without_empty
from holdfast.web.frame import frame_of
from holdfast.web.in_process import Calls, path_of
from holdfast.web.rendering import Page, show
from holdfast.web.session import Posting, Viewer, Viewing

router = APIRouter()

_LISTS = frozenset({"recipients"})
KINDS: dict[str, tuple[str, tuple[tuple[str, str, str], ...]]] = {
    "email": (
        "Mail",
        (
            ("host", "Mail server", "text"),
            ("port", "Port, empty: as usual", "text"),
            ("security", "Security: starttls, tls or none", "text"),
            ("user", "User", "text"),
            ("password", "Password", "password"),
            ("sender", "Sender", "text"),
            ("recipients", "Recipients, with commas between", "text"),
        ),
    ),
    "webhook": ("Webhook, signed", (("url", "Address", "text"),)),
    "slack": ("Slack", (("url", "Webhook address", "password"),)),
    "discord": ("Discord", (("url", "Webhook address", "password"),)),
    "teams": ("Teams", (("url", "Webhook address", "password"),)),
    "telegram": ("Telegram", (("token", "Bot token", "password"), ("chat", "Chat", "text"))),
    "ntfy": ("ntfy", (("topic", "Topic", "text"), ("token", "Token, if it needs one", "password"))),
    "pagerduty": ("PagerDuty", (("key", "Routing key", "password"),)),
    "opsgenie": ("Opsgenie", (("key", "API key", "password"),)),
    "heartbeat": ("Heartbeat", (("url", "Address that is pinged", "password"),)),
    "apprise": ("Apprise", (("url", "Address", "password"),)),
}
"""Kinds of channels and their settings: name, label, type of input. The driver checks them."""
_FIELDS = ("name", "severity", "projects", "resolved", "digest", "kind")
_TRAIL = (("Alarms", "/alarms"),)


def _known(kind: str) -> tuple[str, ...]:
    settings = KINDS.get(kind, ("", ()))[1]
    return (*_FIELDS, *(f"settings.{name}" for name, _, _ in settings))


@router.get("/channels/new")
async def new(request: Request, viewer: Viewing) -> Response:
    kind = request.query_params.get("kind", "email")
    form = Form.of({"kind": kind, "severity": "info", "resolved": "on"}, _known(kind))
    return await _page(request, viewer, form, None)


async def _page(
    request: Request,
    viewer: Viewer,
    form: Form,
    channel: dict[str, Any] | None,
    status: int = 200,
) -> Response:
    kind = form.value("kind") if form.value("kind") in KINDS else "email"
    context = {
        "form": form,
        "channel": channel,
        "kind": kind,
        "kinds": [(name, title) for name, (title, _) in KINDS.items()],
        "settings": KINDS[kind][1],
        "severities": [(severity, f"{severity} and worse") for severity in reversed(Severity)],
        "digests": [("", "one by one"), *((digest, digest) for digest in Digest)],
        "key": "",
    }
    title = channel["name"] if channel else "Add a channel"
    frame = await frame_of(request, viewer)
    return show(request, "channel.html", Page(title, "alarms", _TRAIL), frame, context, status)


def _body(form: Form) -> dict[str, Any]:
    """The API's channel of the form's fields; settings that are empty are left out."""
    settings: dict[str, Any] = {}
    for name, _, _ in KINDS.get(form.value("kind"), ("", ()))[1]:
        text = form.value(f"settings.{name}")
        if text:
            settings[name] = _setting(name, text)
    return {
        "name": form.value("name"),
        "severity": form.value("severity") or "info",
        "resolved": form.on("resolved"),
        "settings": settings,
        **without_empty(
            {"projects": split_list(form.value("projects")), "digest": form.value("digest")}
        ),
    }


def _setting(name: str, text: str) -> object:
    if name in _LISTS:
        return split_list(text)
    return int(text) if name == "port" and text.isdigit() else text


@router.post("/channels")
async def add(request: Request, posted: Posting) -> Response:
    form = Form.of(posted.form, _known(str(posted.form.get("kind", ""))))
    calls = Calls(request, posted.viewer.caller)
    body = {**_body(form), "kind": form.value("kind")}
    answer = await calls.ask("POST", "/v1/channels", body)
    if not answer.ok:
        return await _page(request, posted.viewer, form.refuse(answer), None, answer.status)
    if "key" in answer.data:
        # The only page that has the key of a new webhook.
        frame = await frame_of(request, posted.viewer)
        page = Page("Added", "alarms", _TRAIL)
        return show(request, "channel_made.html", page, frame, {"channel": answer.data})
    return RedirectResponse(f"/channels/{answer.data['id']}", 303)


@router.get("/channels/{channel}")
async def show_channel(request: Request, viewer: Viewing, channel: str) -> Response:
    shown = await Calls(request, viewer.caller).get(path_of("channels", channel))
    return await _page(request, viewer, _form_of(shown), shown)


def _form_of(channel: dict[str, Any]) -> Form:
    form = Form(known=_known(channel["kind"]))
    form.values = {
        "kind": channel["kind"],
        "name": channel["name"],
        "severity": channel["severity"],
        "projects": " ".join(channel.get("projects", ())),
        "resolved": "on" if channel["resolved"] else "",
        "digest": channel.get("digest", ""),
    }
    return form


@router.post("/channels/{channel}")
async def change(request: Request, posted: Posting, channel: str) -> Response:
    """Settings that are all left empty stay as they are."""
    calls = Calls(request, posted.viewer.caller)
    shown = await calls.get(path_of("channels", channel))
    form = Form.of(posted.form, _known(shown["kind"]))
    form.values["kind"] = shown["kind"]
    body = _body(form)
    if not body["settings"]:
        del body["settings"]
    answer = await calls.ask("PATCH", path_of("channels", channel), body)
    if not answer.ok:
        return await _page(request, posted.viewer, form.refuse(answer), shown, answer.status)
    return RedirectResponse(f"/channels/{channel}", 303)


@router.post("/channels/{channel}/test")
async def test(request: Request, posted: Posting, channel: str) -> Response:
    """Sends a test message now, and shows what the other side answered."""
    calls = Calls(request, posted.viewer.caller)
    shown = await calls.get(path_of("channels", channel))
    answer = await calls.ask("POST", path_of("channels", channel, "test"), {})
    form = _form_of(shown)
    if not answer.ok:
        return await _page(request, posted.viewer, form.refuse(answer), shown, answer.status)
    attempts = answer.data["attempts"]
    tested = {**shown, "tested": attempts[-1] if attempts else None}
    return await _page(request, posted.viewer, form, tested)


@router.post("/channels/{channel}/delete")
async def delete(request: Request, posted: Posting, channel: str) -> Response:
    calls = Calls(request, posted.viewer.caller)
    answer = await calls.ask("DELETE", path_of("channels", channel))
    if not answer.ok:
        shown = await calls.get(path_of("channels", channel))
        refused = _form_of(shown).refuse(answer)
        return await _page(request, posted.viewer, refused, shown, answer.status)
    return RedirectResponse("/alarms#ch", 303)
