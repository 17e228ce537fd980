"""Sends what waits in the outbox: claim, send, note what was answered. No rules of alarms."""

import logging
from collections.abc import Callable, Mapping

from holdfast.catalog.alarms import channels, deliveries
from holdfast.catalog.alarms.deliveries import Claim, Outcome
from holdfast.catalog.database.session import Catalog
from holdfast.catalog.schema import ChannelRow
from holdfast.contracts.channel import Channel
from holdfast.domain.alarms.messages import Message, message_of
from holdfast.domain.errors import Failure, Permanent
from holdfast.kit.clock import Clock
from holdfast.kit.redact import redact
from holdfast.kit.seal import Sealer

log = logging.getLogger(__name__)

OpenChannel = Callable[[str, Mapping[str, object]], Channel]
"""Makes a channel of a kind and its settings. Raises Invalid."""


def send_next(
    catalog: Catalog, sealer: Sealer, open_channel: OpenChannel, clock: Clock, delivery_pk: int
) -> bool:
    """Sends one delivery. True: it was taken; False: it was not, or another process has it."""
    with catalog.write() as session:
        claim = deliveries.claim(session, delivery_pk)
        if claim is None:
            return False
        channel = channels.get(session, claim.channel_pk)
        session.expunge(channel)
    outcome = attempt(channel, sealer, open_channel, claim, clock)
    with catalog.write() as session:
        deliveries.settle(session, claim, outcome, clock.now())
    extra = {"channel": channel.id, "event_id": claim.id, "answer": outcome.answer}
    if outcome.ok:
        log.info("a message was sent", extra=extra)
    else:
        log.warning("a message could not be sent", extra=extra)
    return outcome.ok


def attempt(
    channel: ChannelRow, sealer: Sealer, open_channel: OpenChannel, claim: Claim, clock: Clock
) -> Outcome:
    """Sends it once, outside of any transaction."""
    message, began = message_of(claim.id, claim.event, claim.body), clock.monotonic()

    def took_ms() -> int:
        return round(1000 * (clock.monotonic() - began))

    try:
        answer = deliver(channel, sealer, open_channel, message, clock.now())
    except Failure as failure:
        refused = isinstance(failure, Permanent)
        return Outcome(ok=False, answer=failure.message, took_ms=took_ms(), refused=refused)
    except Exception as error:  # a driver's fault is an answer, too
        log.exception("a channel's driver failed", extra={"channel": channel.id})
        return Outcome(
            ok=False, answer=redact(f"{type(error).__name__}: {error}"), took_ms=took_ms()
        )
    return Outcome(ok=True, answer=answer, took_ms=took_ms())


def deliver(
    channel: ChannelRow, sealer: Sealer, open_channel: OpenChannel, message: Message, now: int
) -> str:
    """What the other side answered. Raises Temporary or Permanent."""
    settings = channels.settings(channel, sealer)
    if channel.events is not None:
        settings = {**settings, **notification_settings(channel)}
    return open_channel(channel.kind, settings).send(message, now)


def notification_settings(channel: ChannelRow) -> dict[str, str]:
    """What the v1 API's webhooks have of their integration, beside their own settings."""
    if channel.kind != "RAW_WEBHOOK":
        return {}
    return {"integrationId": channel.id, "integrationName": channel.name}
