"""Pagers, which keep incidents of their own: an alarm opens one under its id, its end resolves it.

They drop a repeated event of an incident that is open, so a message of several alarms that failed
half-way is simply sent again.
"""

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from holdfast.channels.posting import Answer, post
from holdfast.channels.settings import Settings, Token, Url, origin_of
from holdfast.domain.alarms.messages import Document, Message, alarm_line
from holdfast.domain.alarms.rules import Severity

_JSON = {"Content-Type": "application/json"}
_PRIORITY = {Severity.CRITICAL: "P1", Severity.WARNING: "P3", Severity.INFO: "P5"}


def _alarms_of(message: Message) -> list[Document]:
    """One incident each; what is of no alarm, such as a test, is one of its own."""
    if message.alarms and message.event != "digest":
        return list(message.alarms)
    return [{"id": message.id, "severity": message.severity, "line": message.title}]


def _line(alarm: Document) -> str:
    return str(alarm["line"]) if "line" in alarm else alarm_line(alarm)


class PagerDuty(Settings):
    """`key`: the integration key of a service (Events API v2)."""

    key: Token
    url: Url = "https://events.pagerduty.com/v2/enqueue"

    @property
    def shown(self) -> str:
        return origin_of(self.url)

    def send(self, message: Message, now: int) -> str:  # noqa: ARG002 - PagerDuty notes the time
        answer: Answer | None = None
        for alarm in _alarms_of(message):
            body: dict[str, Any] = {
                "routing_key": self.key,
                "dedup_key": alarm["id"],
                "event_action": "resolve" if message.is_good_news else "trigger",
                "payload": {
                    "summary": _line(alarm)[:1_000],
                    "source": "holdfast",
                    "severity": str(alarm["severity"]),
                    "custom_details": dict(alarm),
                },
            }
            answer = post(self.url, json.dumps(body).encode(), _JSON)
        return str(answer)


class Opsgenie(Settings):
    """`key`: the API key of an integration. `url` is another one in the EU."""

    key: Token
    url: Url = "https://api.opsgenie.com"

    @property
    def shown(self) -> str:
        return origin_of(self.url)

    def send(self, message: Message, now: int) -> str:  # noqa: ARG002 - Opsgenie notes the time
        answer: Answer | None = None
        base = f"{self.url.rstrip('/')}/v2/alerts"
        for alarm in _alarms_of(message):
            if message.is_good_news:
                alias = quote(str(alarm["id"]), safe="")
                answer = self._ask(f"{base}/{alias}/close?identifierType=alias", {})
                continue
            body = {
                "message": _line(alarm)[:130],
                "alias": alarm["id"],
                "description": message.text[:10_000],
                "priority": _PRIORITY[Severity(alarm["severity"])],
                "source": "holdfast",
            }
            answer = self._ask(base, body)
        return str(answer)

    def _ask(self, url: str, body: Mapping[str, Any]) -> Answer:
        headers = {**_JSON, "Authorization": f"GenieKey {self.key}"}
        return post(url, json.dumps(body).encode(), headers)
