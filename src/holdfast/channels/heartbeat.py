"""Heartbeats of a schedule, for a healthchecks-style URL: one whose backups stay away is noticed
elsewhere, whatever became of us."""

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import Field

from holdfast.channels.posting import post
from holdfast.channels.settings import Settings, Url, origin_of
from holdfast.domain.alarms.messages import Message, Signals, heartbeat_path
from holdfast.domain.naming import HEX24

_TEXT = {"Content-Type": "text/plain; charset=utf-8"}


class Heartbeat(Settings):
    """`url/start` when a backup of the `schedule` (its id) begins, `url` when it is completed,
    `url/fail` with the reason when it is not; with `signals` `exit-status` `url/0` and `url/11`
    instead. A test is a success."""

    url: Url
    schedule: Annotated[str, Field(pattern=f"^{HEX24}$")]
    signals: Signals = Signals.WORDS

    @property
    def shown(self) -> str:
        return origin_of(self.url)

    def send(self, message: Message, now: int) -> str:  # noqa: ARG002 - the service notes the time
        parts = urlsplit(self.url)
        signal = heartbeat_path(message.event, self.signals)
        path = "/".join(filter(None, (parts.path.rstrip("/"), signal)))
        return str(post(parts._replace(path=path).geturl(), message.text.encode(), _TEXT))
