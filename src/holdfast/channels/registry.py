"""Finds the driver of a kind of channel; its module is imported on first use."""

import importlib
from collections.abc import Mapping
from typing import Protocol, cast

from pydantic import BaseModel, ValidationError

from holdfast.contracts.channel import Channel
from holdfast.domain.errors import Invalid

CHANNELS: Mapping[str, str] = {
    "apprise": "holdfast.channels.apprise:Apprise",
    "discord": "holdfast.channels.chats:Discord",
    "email": "holdfast.channels.email:Email",
    "heartbeat": "holdfast.channels.heartbeat:Heartbeat",
    "ntfy": "holdfast.channels.chats:Ntfy",
    "opsgenie": "holdfast.channels.pagers:Opsgenie",
    "pagerduty": "holdfast.channels.pagers:PagerDuty",
    "slack": "holdfast.channels.chats:Slack",
    "teams": "holdfast.channels.chats:Teams",
    "telegram": "holdfast.channels.chats:Telegram",
    "webhook": "holdfast.channels.webhook:Webhook",
}
NOTIFICATIONS: Mapping[str, str] = {
    "RAW_WEBHOOK": "holdfast.channels.webhook:RawWebhook",
    "SLACK": CHANNELS["slack"],
    "DISCORD": CHANNELS["discord"],
    "TEAMS": CHANNELS["teams"],
    "TEAMS_WORKFLOWS": CHANNELS["teams"],
}
"""Types of the v1 API's notification integrations."""


class _Driver(Protocol):
    """A model of the settings that is a channel."""

    model_fields: Mapping[str, object]

    def model_validate(self, settings: Mapping[str, object], /) -> BaseModel: ...


def open_channel(kind: str, settings: Mapping[str, object]) -> Channel:
    """Returns a channel, without a request to it. Raises Invalid naming every bad field."""
    drivers = {**CHANNELS, **NOTIFICATIONS}
    if kind not in drivers:
        raise _unknown(kind)
    module, _, name = drivers[kind].partition(":")
    driver = cast("_Driver", getattr(importlib.import_module(module), name))
    try:
        return cast("Channel", driver.model_validate(settings))
    except ValidationError as error:
        # Without the values: one of them may be a secret.
        problems = error.errors(include_input=False, include_url=False, include_context=False)
        details = {
            ".".join(("settings", *map(str, problem["loc"]))): problem["msg"]
            for problem in problems
        }
        sentence = "; ".join(f"{name}: {problem}" for name, problem in details.items())
        raise Invalid(f"the channel's settings are not valid: {sentence}", details) from None


def complete_channel(
    kind: str, settings: Mapping[str, object]
) -> tuple[dict[str, object], Channel]:
    """The settings with what the driver makes up, such as a signing key. Raises Invalid."""
    if kind not in CHANNELS:
        raise _unknown(kind)
    channel = open_channel(kind, settings)
    return cast("BaseModel", channel).model_dump(mode="json"), channel


def _unknown(kind: str) -> Invalid:
    problem = f"there is no channel of kind {kind!r}; there are {', '.join(CHANNELS)}"
    return Invalid(problem, {"kind": problem})
