"""Messages to people and programs: the words of an alarm, of its end, and of a digest."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from holdfast.domain.alarms.rules import MAX_NAMED, RULES, Kind, Severity, listed_names
from holdfast.domain.protection import ORDER

Document = Mapping[str, Any]

MAX_ALARMS = 500
"""Alarms in the document of one message."""


class Event(StrEnum):
    """What a message says. Those of the v1 API are named there: `addon-backup:success`, ..."""

    OPENED = "alarm.opened"
    REMINDED = "alarm.reminded"
    CLOSED = "alarm.closed"
    DIGEST = "digest"
    TEST = "test"


HEARTBEAT = "heartbeat"
"""The kind of channels that hear of the backups of one schedule."""
OPERATION_FAILED = 11
"""The exit status of `holdfast backup create --wait` when the backup failed or was aborted."""


class Signals(StrEnum):
    """How a heartbeat says how something ended: in words, or as the exit status that it had."""

    WORDS = "words"
    EXIT_STATUS = "exit-status"


_PATHS: Mapping[Signals, Mapping[str, str]] = {
    Signals.WORDS: {"heartbeat.fail": "fail", "heartbeat.abort": "fail"},
    Signals.EXIT_STATUS: {
        "heartbeat.success": "0",
        "heartbeat.fail": str(OPERATION_FAILED),
        "heartbeat.abort": str(OPERATION_FAILED),
        Event.TEST: "0",
    },
}


def heartbeat_path(event: str, signals: Signals) -> str:
    """What is appended to a heartbeat's URL; nothing: all is well."""
    return "start" if event == "heartbeat.start" else _PATHS[signals].get(event, "")


@dataclass(frozen=True)
class Message:
    """`id` is the same for every attempt, so that a receiver can drop what it has already.

    `document` is for programs, `title` and `text` say the same to people.
    """

    id: str
    event: str
    severity: Severity
    title: str
    text: str
    document: Document

    @property
    def is_good_news(self) -> bool:
        return self.event == Event.CLOSED

    @property
    def alarms(self) -> Sequence[Document]:
        return self.document.get("alarms", ())


def message_of(identifier: str, event: str, document: Document) -> Message:
    """The message of a row of the outbox."""
    match event:
        case Event.OPENED | Event.REMINDED | Event.CLOSED:
            severity, title, text = _of_alarms(event, document)
        case Event.DIGEST:
            severity, title, text = _of_digest(document)
        case Event.TEST:
            severity, title = Severity.INFO, "Holdfast: a test message"
            text = "This channel works. There is nothing to do."
        case _:
            severity, title, text = _of_backup(event, document)
    return Message(identifier, event, severity, title, f"{text}\n\nevent {identifier}", document)


def alarm_line(alarm: Document) -> str:
    """`shop/orders could not be backed up: the newest backup failed: ...`."""
    title = RULES[Kind(alarm["kind"])].title
    return f"{alarm['subject']}: {title} ({alarm['reason']})"


def _of_alarms(event: str, document: Document) -> tuple[Severity, str, str]:
    alarms: Sequence[Document] = document["alarms"]
    count: int = document["count"]
    first = alarms[0]
    rule = RULES[Kind(first["kind"])]
    word = {Event.CLOSED: "Resolved", Event.REMINDED: "Still"}.get(Event(event), "Alarm")
    if count == 1:
        title = f"{word}: {first['subject']} {rule.title}"
        reason, until = first["reason"], ""
        if event == Event.CLOSED:
            title = f"{word}: {first['subject']} ({first['kind']})"
            reason, until = (
                f"it is over; it was: {reason}",
                f" until {first.get('closedAt', 'now')}",
            )
        lines = [reason, f"severity: {first['severity']}", f"since: {first['since']}{until}"]
    else:
        title = f"{word}: {count} times {first['kind']}"
        names = listed_names([alarm_line(alarm) for alarm in alarms])
        lines = [f"{count} alarms of one kind:", *names]
        if count > len(alarms) > MAX_NAMED:
            lines.append(f"in all {count}")
    if event != Event.CLOSED:
        lines += [f"what to do: {rule.remedy}"]
        lines += [f"acknowledge: holdfast alarm acknowledge {first['id']}"] if count == 1 else []
    return Severity(first["severity"]), title, "\n".join(lines)


def _of_digest(document: Document) -> tuple[Severity, str, str]:
    counts: Mapping[str, int] = document["states"]
    alarms: Sequence[Document] = document["alarms"]
    words = [f"{counts[state]} {state}" for state in ORDER if counts.get(state)]
    title = f"Holdfast: {document['count']} open alarms; {', '.join(words) or 'no addons'}"
    lines = list(listed_names([alarm_line(alarm) for alarm in alarms])) or ["No alarm is open."]
    severity = Severity(alarms[0]["severity"]) if alarms else Severity.INFO
    return severity, title, "\n".join(lines)


def _of_backup(event: str, document: Document) -> tuple[Severity, str, str]:
    data: Document = document["data"]
    backup, addon, project = data["backup"], data["addon"], data["project"]
    title = f"{event}: {project['name']}/{addon['name']}"
    lines = [f"backup {backup['name']} ({backup['type']}): {backup['status']}"]
    if "reason" in backup:
        lines.append(str(backup["reason"]))
    severity = Severity.WARNING if event.endswith(("failure", "abort")) else Severity.INFO
    return severity, title, "\n".join(lines)
