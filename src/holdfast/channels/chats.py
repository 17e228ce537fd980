"""Chats: one POST each, in the form that each service asks for."""

import json
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field

from holdfast.channels.posting import post
from holdfast.channels.settings import Settings, Token, Url, origin_of
from holdfast.domain.alarms.messages import Message
from holdfast.domain.alarms.rules import Severity

_JSON = {"Content-Type": "application/json"}
_NTFY_PRIORITY = {Severity.CRITICAL: 5, Severity.WARNING: 4, Severity.INFO: 3}


def _post_json(url: str, body: Mapping[str, Any], headers: Mapping[str, str] = _JSON) -> str:
    return str(post(url, json.dumps(body, ensure_ascii=False).encode(), headers))


def _words(message: Message, limit: int) -> str:
    """Title and text, cut to what the service takes."""
    text = f"{message.title}\n{message.text}"
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


class Slack(Settings):
    """`url`: an incoming webhook of Slack, or of Mattermost or Rocket.Chat, which take the same."""

    url: Url

    @property
    def shown(self) -> str:
        return origin_of(self.url)

    def send(self, message: Message, now: int) -> str:  # noqa: ARG002 - Slack notes the time
        # Slack reads <, > and & as markup: https://api.slack.com/reference/surfaces/formatting
        text = _words(message, 3_000)
        for character, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;")):
            text = text.replace(character, entity)
        return _post_json(self.url, {"text": text})


class Discord(Settings):
    """`url`: a webhook of a Discord channel."""

    url: Url

    @property
    def shown(self) -> str:
        return origin_of(self.url)

    def send(self, message: Message, now: int) -> str:  # noqa: ARG002 - Discord notes the time
        mentioned: list[str] = []
        body = {"content": _words(message, 2_000), "allowed_mentions": {"parse": mentioned}}
        return _post_json(self.url, body)


class Teams(Settings):
    """`url`: a workflow "when a Teams webhook request is received"."""

    url: Url

    @property
    def shown(self) -> str:
        return origin_of(self.url)

    def send(self, message: Message, now: int) -> str:  # noqa: ARG002 - Teams notes the time
        blocks = [
            {"type": "TextBlock", "text": message.title, "weight": "Bolder", "wrap": True},
            *(
                {"type": "TextBlock", "text": line, "wrap": True, "spacing": "Small"}
                for line in message.text.splitlines()
                if line
            ),
        ]
        card = {
            "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
            "type": "AdaptiveCard",
            "version": "1.4",
            "body": blocks,
        }
        content = {"contentType": "application/vnd.microsoft.card.adaptive", "content": card}
        return _post_json(self.url, {"type": "message", "attachments": [content]})


class Telegram(Settings):
    """`token` of the bot, and the `chat` it writes to: a number, or `@channel`."""

    token: Annotated[str, Field(pattern=r"^[0-9]+:[A-Za-z0-9_-]+$", max_length=200)]
    chat: Annotated[str, Field(pattern=r"^(-?[0-9]+|@[A-Za-z0-9_]+)$", max_length=64)]
    url: Url = "https://api.telegram.org"

    @property
    def shown(self) -> str:
        return f"chat {self.chat}"

    def send(self, message: Message, now: int) -> str:  # noqa: ARG002 - Telegram notes the time
        body = {"chat_id": self.chat, "text": _words(message, 4_000)}
        return _post_json(f"{self.url.rstrip('/')}/bot{self.token}/sendMessage", body)


class Ntfy(Settings):
    """`topic` at `url`, with the access `token` of a protected one."""

    topic: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
    token: Token | None = None
    url: Url = "https://ntfy.sh"

    @property
    def shown(self) -> str:
        return origin_of(self.url)

    def send(self, message: Message, now: int) -> str:  # noqa: ARG002 - ntfy notes the time
        body = {
            "topic": self.topic,
            "title": message.title[:250],
            "message": message.text[:3_500],
            "priority": 2 if message.is_good_news else _NTFY_PRIORITY[message.severity],
            "tags": ["white_check_mark" if message.is_good_news else "rotating_light"],
        }
        bearer = {} if self.token is None else {"Authorization": f"Bearer {self.token}"}
        return _post_json(self.url, body, {**_JSON, **bearer})
