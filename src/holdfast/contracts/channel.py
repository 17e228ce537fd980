"""The contract of channels: where messages are sent."""

from typing import Protocol

from holdfast.domain.alarms.messages import Message


class Channel(Protocol):
    @property
    def shown(self) -> str:
        """Names the receiver for people, without a secret."""
        ...

    def send(self, message: Message, now: int) -> str:
        """Sends the message at `now` (ms since 1970); returns what the other side answered.

        Raises Temporary if a later attempt may succeed, Permanent if none will. Their messages
        hold what the other side answered and no secret. It ends within `LONGEST_SECONDS`.
        """
        ...


LONGEST_SECONDS = 90.0
