"""The steps of long work as people read them, by kind of operation: what is done, and the meaning.

The names are those of the jobs' own steps; a test holds the two against each other.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from holdfast.domain.operation import Kind


@dataclass(frozen=True)
class StepText:
    name: str
    title: str
    text: str


def _steps(*texts: tuple[str, str, str]) -> Sequence[StepText]:
    return [StepText(*text) for text in texts]


_LOOK = ("look", "Look", "version, size, and what is there")
_CHECK = ("check", "Check", "everything is read back from the store and checked")

STEPS: Mapping[Kind, Sequence[StepText]] = {
    Kind.BACKUP: _steps(
        _LOOK,
        ("copy", "Dump", "the stock tool's file, compressed on its way to the store"),
        _CHECK,
        ("seal", "Seal", "the manifest is written last"),
    ),
    Kind.SNAPSHOT: _steps(
        _LOOK,
        ("capture", "Copy", "the server's files; only what is new is stored"),
        _CHECK,
        ("seal", "Seal", "the snapshot is written last"),
    ),
    Kind.RESTORE: _steps(
        ("read", "Read", "the manifest, as its evidence names it"),
        ("preflight", "Preflight", "versions, room, roles, extensions, locales of the target"),
        ("stage", "Load beside", "into databases beside the present ones, which go on serving"),
        ("compare", "Compare", "every table with what was counted when it was taken"),
        ("judge", "Judge", "whether differences were accepted"),
        ("swap", "Swap", "one transaction of renames; cannot be aborted"),
    ),
    Kind.RESTORE_IN_PLACE: _steps(
        ("read", "Read", "the snapshot, as its evidence names it"),
        ("preflight", "Preflight", "the server's machine: room, versions, control"),
        ("fetch", "Fetch beside", "files beside the present ones, which go on serving"),
        ("rehearse", "Rehearse", "the restored server is started privately and compared"),
        ("judge", "Judge", "whether differences were accepted"),
        ("swap", "Swap", "the server is away for a moment; cannot be aborted"),
    ),
    Kind.RECOVER: _steps(
        ("read", "Read", "the snapshot before the instant, and the log after it"),
        ("preflight", "Preflight", "the server's machine: room, versions, control"),
        ("fetch", "Fetch beside", "files beside the present ones, which go on serving"),
        ("log", "Fetch the log", "what the server wrote after the snapshot"),
        ("settle", "Settle", "at which position of the log the replay stops"),
        ("rehearse", "Replay", "on a private server, which is compared"),
        ("judge", "Judge", "whether differences were accepted"),
        ("swap", "Swap", "the server is away for a moment; cannot be aborted"),
    ),
    Kind.RESTORE_OPEN_FILE: _steps(
        ("read", "Read", "the snapshot, as its evidence names it"),
        ("preflight", "Preflight", "the file and its directory"),
        ("fetch", "Fetch beside", "files beside the present ones"),
        ("check", "Check", "the restored file is opened and compared"),
        ("judge", "Judge", "whether differences were accepted"),
        ("swap", "Swap", "the restored content takes the place of the old"),
    ),
    Kind.UNDO: _steps(
        ("look", "Look", "for the old data"),
        ("put back", "Put back", "the old data takes its place again"),
        ("drop", "Clear up", "what is left of the restore"),
    ),
    Kind.DRILL: _steps(
        ("run", "Restore and judge", "into a throw-away server, beside all other work"),
    ),
}


@dataclass(frozen=True)
class StepState:
    """One step of one operation: `tone` is good, busy, bad or later."""

    step: StepText
    tone: str


def states(kind: Kind, finished: str | None, status: str) -> list[StepState]:
    """The steps of an operation whose last finished step is known. `status` is the operation's."""
    texts = STEPS.get(kind, ())
    names = [text.name for text in texts]
    count = names.index(finished) + 1 if finished in names else 0
    if status == "completed":
        count = len(texts)
    current = {"in-progress": "busy", "aborting": "busy", "failed": "bad", "aborted": "none"}
    return [
        StepState(
            text,
            "good"
            if number < count
            else current.get(status, "later")
            if number == count
            else "later",
        )
        for number, text in enumerate(texts)
    ]
