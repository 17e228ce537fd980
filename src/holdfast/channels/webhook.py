"""Webhooks: signed ones of our own, and those of the v1 API's notification integrations.

Ours follow https://www.standardwebhooks.com, whose libraries verify them in most languages: the
signature is of id, time and body, so that an old message cannot be sent again as a new one.
"""

import base64
import hashlib
import hmac
import json
import secrets
from typing import Annotated

from pydantic import AfterValidator, Field

from holdfast.channels.posting import post
from holdfast.channels.settings import Settings, Token, Url, origin_of
from holdfast.domain.alarms.messages import Message
from holdfast.kit.clock import rfc3339

_PREFIX = "whsec_"
_JSON = {"Content-Type": "application/json"}


def _is_key(key: str) -> str:
    try:
        raw = base64.b64decode(key.removeprefix(_PREFIX), validate=True)
    except ValueError:
        raw = b""
    if not key.startswith(_PREFIX) or not 24 <= len(raw) <= 64:
        raise ValueError(
            f"must be {_PREFIX} and the base64 of 24 to 64 bytes; leave it out for one"
        )
    return key


def _new_key() -> str:
    return _PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


class Webhook(Settings):
    """A JSON document, signed with `key`, which is made up unless it is named."""

    url: Url
    key: Annotated[str, AfterValidator(_is_key)] = Field(default_factory=_new_key)

    @property
    def shown(self) -> str:
        return origin_of(self.url)

    def send(self, message: Message, now: int) -> str:
        document = {
            "id": message.id,
            "event": message.event,
            "sentAt": rfc3339(now),
            "severity": message.severity,
            "title": message.title,
            "text": message.text,
            **message.document,
        }
        body = json.dumps(document, ensure_ascii=False).encode()
        seconds = str(now // 1000)
        key = base64.b64decode(self.key.removeprefix(_PREFIX))
        signed = b".".join((message.id.encode(), seconds.encode(), body))
        signature = base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
        headers = {
            **_JSON,
            "webhook-id": message.id,
            "webhook-timestamp": seconds,
            "webhook-signature": f"v1,{signature}",
        }
        return str(post(self.url, body, headers))


class RawWebhook(Settings):
    """`{event, data}` with the headers of the v1 API. `secret` goes as it is, as it does there."""

    url: Url
    integration_id: str
    integration_name: str
    secret: Token | None = None

    @property
    def shown(self) -> str:
        return origin_of(self.url)

    def send(self, message: Message, now: int) -> str:  # noqa: ARG002 - the format has no time
        prefix = "X-Northflank-Notification-Integration"
        headers = {
            **_JSON,
            f"{prefix}-Id": self.integration_id,
            f"{prefix}-Name": self.integration_name,
            f"{prefix}-Event-Id": message.id,
            f"{prefix}-Event-Type": message.event,
        }
        if self.secret is not None:
            headers[f"{prefix}-Token"] = self.secret
        body = {"event": message.event, "data": message.document.get("data", {})}
        return str(post(self.url, json.dumps(body, ensure_ascii=False).encode(), headers))
