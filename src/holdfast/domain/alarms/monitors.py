"""Monitors: pings that are expected from elsewhere, and what is wrong when they stay away.

The signals and their paths are those of healthchecks, so that whatever can ping one can ping us.
"""

import unicodedata
from dataclasses import dataclass
from enum import StrEnum

from holdfast.domain.units import show_duration

MAX_SAID_BYTES = 10_000
"""Of the body of a ping; the rest is cut."""
MAX_REASON = 1_000
"""Characters of what a ping said that go into an alarm."""
MAX_MONITORS = 1_000
_MAX_STATUS = 255


class Signal(StrEnum):
    """What a ping says. A log changes nothing but what was said last."""

    SUCCESS = "success"
    START = "start"
    FAIL = "fail"
    LOG = "log"


class Condition(StrEnum):
    """`new`: no ping has come yet; `late`: one was due, or a start has had no end in time."""

    NEW = "new"
    UP = "up"
    FAILED = "failed"
    LATE = "late"


DOWN = frozenset({Condition.FAILED, Condition.LATE})
"""Conditions that are an alarm; the next success ends them."""


@dataclass(frozen=True, slots=True)
class Ping:
    """`status` is the exit status that came instead of a word, if one did."""

    signal: Signal
    text: str = ""
    status: int | None = None

    @property
    def problem(self) -> str:
        """Why a failed one is an alarm."""
        lead = "it reported a failure" if self.status is None else f"exit status {self.status}"
        text = self.text[:MAX_REASON].strip()
        return f"{lead}: {text}" if text else lead


def ping_of(word: str, body: bytes = b"") -> Ping | None:
    """The ping whose URL ends in `word`: start, fail, log, an exit status, or nothing. None for any
    other one."""
    text = clean(body)
    match word:
        case "":
            return Ping(Signal.SUCCESS, text)
        case Signal.START | Signal.FAIL | Signal.LOG:
            return Ping(Signal(word), text)
        case _ if word.isascii() and word.isdecimal() and len(word) <= 3:
            status = int(word)
            signal = Signal.SUCCESS if status == 0 else Signal.FAIL
            return Ping(signal, text, status) if status <= _MAX_STATUS else None
        case _:
            return None


def clean(body: bytes) -> str:
    """The text of a body, cut, without what controls terminals or turns the order of letters."""
    text = body[:MAX_SAID_BYTES].decode(errors="replace")
    return "".join(
        character
        for character in text
        if character in "\n\t" or unicodedata.category(character)[0] != "C"
    ).strip()


@dataclass(frozen=True, slots=True)
class Waiting:
    """How long a monitor has been waited for, by clocks that only run while pings can come, in ms.

    `own`: by this process, without a break; `all`: before it, too. `begun`: by this process since
    a start without an end; None: there is none whose whole time it has seen.
    """

    own: int
    all: int
    begun: int | None = None


def lateness(every: int, grace: int, waiting: Waiting, *, new: bool) -> str | None:
    """What is wrong with a monitor that is waited for so long; None: nothing. Times in ms.

    While no process listened a ping may have got lost. So a process waits for a whole period of its
    own; but for two periods in all, of which breaks are no part, no monitor may be silent: else one
    that is due once a week would never be late where a process starts anew each day.
    """
    if waiting.begun is not None and waiting.begun > grace:
        return f"it began {show_duration(waiting.begun)} ago and has not ended"
    if waiting.own <= every + grace and waiting.all <= 2 * every + grace:
        return None
    since = " since it was added" if new else ""
    silence = show_duration(max(waiting.own, waiting.all))
    return f"no ping for {silence}{since}; one is due every {show_duration(every)}"
