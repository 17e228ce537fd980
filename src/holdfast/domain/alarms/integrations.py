"""The v1 API's notification integrations: their events, and which addons they are about."""

from collections.abc import Collection, Mapping
from typing import Any

from holdfast.domain.operation import Status

_EVENTS = {
    Status.IN_PROGRESS: "addon-backup:start",
    Status.COMPLETED: "addon-backup:success",
    Status.FAILED: "addon-backup:failure",
    Status.NOT_SUPPORTED: "addon-backup:failure",
    Status.ABORTED: "addon-backup:abort",
}
_HEARTBEATS = {
    "addon-backup:start": "heartbeat.start",
    "addon-backup:success": "heartbeat.success",
    "addon-backup:failure": "heartbeat.fail",
    "addon-backup:abort": "heartbeat.abort",
}
TRIGGERS = tuple(f"trigger:{event}" for event in dict.fromkeys(_EVENTS.values()))
"""What can be subscribed to here; the v1 API has others, of things that are not here."""


def event_of(status: Status) -> str | None:
    """The event of a backup that gets this status; None: there is none."""
    return _EVENTS.get(status)


def heartbeat_of(event: str) -> str:
    """What the heartbeat of a schedule hears of an event of its backup."""
    return _HEARTBEATS[event]


def tags_match(restrictions: Mapping[str, Any], tags: Collection[str]) -> bool:
    """Whether an addon with these tags is one that the restrictions admit."""
    tag_restriction: Mapping[str, Any] = restrictions.get("tags", {})
    if not tag_restriction.get("enabled"):
        return True
    present = [item in tags for item in tag_restriction.get("items", ())]
    return all(present) if tag_restriction.get("matchCondition") == "and" else any(present)


def problems(events: Mapping[str, bool]) -> dict[str, str]:
    """What is wrong with a choice of events, by field. An event that never comes is no choice: who
    waits for it would take silence for good news."""
    sentence = f"never happens here; there are {', '.join(TRIGGERS)}"
    return {
        f"events.{name}": sentence
        for name, chosen in events.items()
        if chosen and name not in TRIGGERS
    }
