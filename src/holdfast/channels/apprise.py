"""Everything that the `apprise` library can reach, by its URLs: https://appriseit.com/services/."""

from typing import Annotated
from urllib.parse import urlsplit

import apprise
from pydantic import AfterValidator, Field

from holdfast.channels.settings import Settings
from holdfast.domain.alarms.messages import Message
from holdfast.domain.errors import Permanent, Temporary
from holdfast.kit.fetch import is_local_service_name
from holdfast.kit.redact import redact

_TIMEOUT_SECONDS = 60
_LONGEST_ANSWER = 500
_ACT_HERE = {
    *("blink1", "dbus", "gio", "glib", "gnome", "kde", "macosx", "qt", "syslog", "windows"),
}
"""They act on the machine that Holdfast runs on, not on another one."""
_READ_FILES = {"fcm", "vapid"}
"""Their parameters name files of our machine."""
_OWN_KIND = {"mailto", "mailtos"}
"""Mail is a kind of its own, which says what the server answered."""
_REFUSED = _ACT_HERE | _READ_FILES | _OWN_KIND


def _is_remote(url: str) -> str:
    scheme = url.partition("://")[0].lower()
    if scheme in _REFUSED:
        raise ValueError(f"{scheme}:// is not available here")
    host = urlsplit(url).hostname
    if host is not None and is_local_service_name(host):
        raise ValueError(f"{host} serves only the machine that asks")
    if _service(url) is None:
        raise ValueError("is no URL of a service that apprise knows")
    return url


def _service(url: str) -> apprise.NotifyBase | None:
    asset = apprise.AppriseAsset(storage_mode="memory", secure_logging=True)
    service: object = apprise.Apprise.instantiate(url, asset=asset)  # pyright: ignore[reportUnknownMemberType]
    if not isinstance(service, apprise.NotifyBase):
        return None
    service.redirects = False  # a message is for the address that was named
    return service


class Apprise(Settings):
    url: Annotated[str, AfterValidator(_is_remote), Field(max_length=2_000)]

    @property
    def shown(self) -> str:
        return self.url.partition("://")[0]

    def send(self, message: Message, now: int) -> str:  # noqa: ARG002 - the services note the time
        host = urlsplit(self.url).hostname
        service = _service(self.url)
        if service is None or (host is not None and is_local_service_name(host)):
            raise Permanent("the URL is not one that may be used")
        sender = apprise.Apprise()
        sender.add(service)  # pyright: ignore[reportUnknownMemberType]
        kind = apprise.NotifyType.SUCCESS if message.is_good_news else apprise.NotifyType.WARNING
        result = sender.notify(  # pyright: ignore[reportUnknownMemberType]
            body=message.text, title=message.title, notify_type=kind, timeout=_TIMEOUT_SECONDS
        )
        lines = [entry.message for notified in result for attempt in notified for entry in attempt]
        answer = redact("; ".join(lines))[:_LONGEST_ANSWER]
        if not result:
            # The library does not tell a refusal from an absence, so it is tried again.
            raise Temporary(answer or "the service did not take it")
        return answer or "taken"
