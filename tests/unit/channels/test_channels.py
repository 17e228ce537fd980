"""Every kind of channel against a real receiver: what is sent, answered and refused."""

import base64
import hashlib
import hmac
import ssl
from typing import Any

import pytest

from fixtures.receivers import PASSWORD, USER, Hook, MailServer
from holdfast.channels.registry import CHANNELS, NOTIFICATIONS, complete_channel, open_channel
from holdfast.domain.alarms.messages import Event, Message, message_of
from holdfast.domain.alarms.rules import RULES, Kind
from holdfast.domain.errors import Invalid, Permanent, Temporary

NOW = 1_764_500_000_123
ALARM = {
    "id": "a" * 24,
    "kind": Kind.BACKUP_FAILED,
    "severity": "warning",
    "subject": "shop/orders",
    "reason": "the newest backup failed: <no> & password",
    "remedy": RULES[Kind.BACKUP_FAILED].remedy,
    "since": "2026-11-30T00:00:00.000Z",
}


def alarm(event: str = Event.OPENED, count: int = 1) -> Message:
    return message_of("e" * 24, event, {"alarms": [ALARM] * count, "count": count})


TEST = message_of("t" * 24, Event.TEST, {})


def settings_of(kind: str, hook: Hook) -> dict[str, Any]:
    more: dict[str, dict[str, Any]] = {
        "telegram": {"token": "12:ab-c", "chat": "-100"},
        "ntfy": {"topic": "alarms", "token": "tk_secret"},
        "pagerduty": {"key": "routing"},
        "opsgenie": {"key": "a-genie-key"},
    }
    return {"url": hook.url, **more.get(kind, {})}


POSTING = sorted(set(CHANNELS) - {"email", "apprise", "heartbeat"})


@pytest.mark.parametrize("kind", POSTING)
def test_each_sends_alarms_their_end_and_tests(kind: str, hook: Hook) -> None:
    channel = open_channel(kind, settings_of(kind, hook))
    for message in (alarm(), alarm(Event.CLOSED), alarm(count=7), TEST):
        assert channel.send(message, NOW) == '200 {"ok": true}'
    assert len(hook.posted) >= 4
    assert b"shop/orders" in hook.posted[0].body
    assert hook.posted[0].headers["content-type"] == "application/json"


@pytest.mark.parametrize("kind", POSTING)
def test_each_says_what_was_answered(kind: str, hook: Hook) -> None:
    channel = open_channel(kind, settings_of(kind, hook))
    hook.answer = b"no such\n  channel"
    hook.statuses = [404, 503, 429]
    with pytest.raises(Permanent, match="answered 404 no such channel"):
        channel.send(alarm(), NOW)
    for _ in range(2):
        with pytest.raises(Temporary, match=r"answered (503|429) no such channel"):
            channel.send(alarm(), NOW)


@pytest.mark.parametrize("kind", [*POSTING, "email"])
def test_a_dead_receiver_may_answer_later(kind: str, hook: Hook) -> None:
    hook.url = "http://127.0.0.1:9"
    mail = {"host": "127.0.0.1", "port": 9, "sender": "a@b", "recipients": ["c@d"]}
    settings = mail if kind == "email" else settings_of(kind, hook)
    with pytest.raises(Temporary, match="did not answer"):
        open_channel(kind, settings).send(alarm(), NOW)


def test_no_secret_is_shown(hook: Hook) -> None:
    hook.url += "/very/secret"
    for kind in POSTING:
        channel = open_channel(kind, settings_of(kind, hook))
        for text in (channel.shown, repr(channel), str(channel)):
            assert not any(word in text for word in ("secret", "routing", "genie-key", "12:ab"))


def test_a_webhook_is_signed_by_the_standard(hook: Hook) -> None:
    settings, channel = complete_channel("webhook", {"url": hook.url})
    channel.send(alarm(), NOW)
    (posted,) = hook.posted
    assert posted.json["event"] == "alarm.opened"
    assert posted.json["alarms"] == [ALARM]
    seconds = posted.headers["webhook-timestamp"]
    assert int(seconds) == NOW // 1000
    key = base64.b64decode(str(settings["key"]).removeprefix("whsec_"))
    signed = f"{'e' * 24}.{seconds}.".encode() + posted.body
    expected = base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
    assert posted.headers["webhook-signature"] == f"v1,{expected}"
    assert posted.headers["webhook-id"] == "e" * 24


def test_a_redirect_is_not_followed(hook: Hook) -> None:
    hook.status, hook.location = 302, "http://169.254.169.254/latest"
    channel = open_channel("slack", {"url": hook.url})
    with pytest.raises(Permanent, match="redirects are not followed"):
        channel.send(alarm(), NOW)


def test_what_serves_only_this_machine_is_refused() -> None:
    for url in ("http://169.254.169.254/latest", "http://[fd00:ec2::254]/", "ftp://a/b", "x"):
        with pytest.raises(Invalid) as refused:
            open_channel("webhook", {"url": url})
        assert set(refused.value.details) == {"settings.url"}
    with pytest.raises(Invalid, match=r"settings\.host"):
        open_channel("email", {"host": "169.254.1.1", "sender": "a@b", "recipients": ["c@d"]})


def test_bad_settings_are_named_without_their_values() -> None:
    with pytest.raises(Invalid) as refused:
        open_channel("telegram", {"token": "very secret", "chat": "-1", "colour": "red"})
    assert set(refused.value.details) == {"settings.token", "settings.colour"}
    assert "very secret" not in str(refused.value.details) + refused.value.message
    with pytest.raises(Invalid, match="there is no channel of kind 'pigeon'"):
        open_channel("pigeon", {})
    with pytest.raises(Invalid, match="there is no channel of kind 'SLACK'"):
        complete_channel("SLACK", {"url": "http://127.0.0.1"})


def test_slack_reads_no_markup_and_discord_mentions_nobody(hook: Hook) -> None:
    open_channel("slack", {"url": hook.url}).send(alarm(), NOW)
    open_channel("discord", {"url": hook.url}).send(alarm(), NOW)
    assert "&lt;no&gt; &amp; password" in hook.posted[0].json["text"]
    assert hook.posted[1].json["allowed_mentions"] == {"parse": []}


def test_pagers_open_and_resolve_one_incident_for_an_alarm(hook: Hook) -> None:
    pagerduty = open_channel("pagerduty", settings_of("pagerduty", hook))
    opsgenie = open_channel("opsgenie", settings_of("opsgenie", hook))
    for channel in (pagerduty, opsgenie):
        channel.send(alarm(), NOW)
        channel.send(alarm(Event.CLOSED), NOW)
    first, second, third, fourth = hook.posted
    assert [first.json["event_action"], second.json["event_action"]] == ["trigger", "resolve"]
    assert first.json["dedup_key"] == second.json["dedup_key"] == "a" * 24
    assert third.json["alias"] == "a" * 24
    assert fourth.path == f"/v2/alerts/{'a' * 24}/close?identifierType=alias"
    assert third.headers["authorization"] == "GenieKey a-genie-key"


def test_a_raw_webhook_has_the_headers_of_the_v1_api(hook: Hook) -> None:
    assert "RAW_WEBHOOK" in NOTIFICATIONS
    settings = {
        "url": hook.url,
        "integrationId": "my-hook",
        "integrationName": "My hook",
        "secret": "plain",
    }
    backup = {
        "backup": {"id": "b", "name": "B", "type": "dump", "status": "completed"},
        "addon": {"id": "a", "name": "A"},
        "project": {"id": "p", "name": "P"},
    }
    event = "addon-backup:success"
    message = message_of("e" * 24, event, {"event": event, "data": backup})
    open_channel("RAW_WEBHOOK", settings).send(message, NOW)
    (posted,) = hook.posted
    assert posted.json == {"event": event, "data": backup}
    prefix = "x-northflank-notification-integration"
    sent = {name: value for name, value in posted.headers.items() if name.startswith(prefix)}
    assert sent == {
        f"{prefix}-id": "my-hook",
        f"{prefix}-name": "My hook",
        f"{prefix}-token": "plain",
        f"{prefix}-event-id": "e" * 24,
        f"{prefix}-event-type": event,
    }


def test_mail_in_the_clear(mail_server: MailServer) -> None:
    channel = open_channel("email", mail_server.settings)
    assert channel.send(alarm(), NOW) == "accepted for 1 recipients"
    channel.send(alarm(), NOW)
    first, again = mail_server.mails
    assert first["subject"] == "Alarm: shop/orders could not be backed up"
    assert first["message-id"] == again["message-id"] == f"<{'e' * 24}@example.org>"
    assert "what to do:" in first.get_content()


def test_mail_by_starttls_with_a_password(
    tls_mail_server: MailServer, monkeypatch: pytest.MonkeyPatch, certified: Any
) -> None:
    login = {"security": "starttls", "user": USER, "password": PASSWORD}
    settings = {**tls_mail_server.settings, **login}
    with pytest.raises(Temporary, match="TLS did not work"):
        open_channel("email", settings).send(alarm(), NOW)  # an authority that is unknown
    trusting = ssl.create_default_context(cafile=str(certified.authority))
    monkeypatch.setattr("ssl.create_default_context", lambda: trusting)
    open_channel("email", settings).send(alarm(), NOW)
    assert len(tls_mail_server.mails) == 1
    with pytest.raises(Permanent, match="answered 535"):
        open_channel("email", {**settings, "password": "wrong"}).send(alarm(), NOW)
    with pytest.raises(Permanent, match="answered 530"):
        open_channel("email", tls_mail_server.settings).send(alarm(), NOW)


def test_user_and_password_belong_together() -> None:
    mail = {"host": "127.0.0.1", "sender": "a@b", "recipients": ["c@d"], "user": "u"}
    with pytest.raises(Invalid, match="belong together"):
        open_channel("email", mail)


def test_apprise_sends_and_tells_what_it_logged(hook: Hook) -> None:
    address = hook.url.partition("://")[2]
    channel = open_channel("apprise", {"url": f"json://{address}/path"})
    channel.send(alarm(), NOW)
    assert "shop/orders" in hook.posted[0].json["title"]
    hook.status = 500
    with pytest.raises(Temporary, match="500"):
        channel.send(alarm(), NOW)
    hook.status, hook.location = 302, hook.url
    with pytest.raises(Temporary):
        channel.send(alarm(), NOW)


@pytest.mark.parametrize(
    "url",
    [
        "syslog://", "dbus://", "windows://", "fcm://project@apikey/device", "mailto://a:b@c.de",
        "json://169.254.169.254/latest", "nonsense", "nosuch://host",
    ],
)  # fmt: skip
def test_apprise_touches_nothing_of_this_machine(url: str) -> None:
    with pytest.raises(Invalid, match=r"settings\.url"):
        open_channel("apprise", {"url": url})
