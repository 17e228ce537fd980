"""Begins a new timeline on a restored server, so that its WAL never has the name of other WAL.

A WAL archive knows a segment by timeline and position. A copy that goes on in the timeline it was
taken from writes other bytes at positions that exist already, and an archive then holds two
histories under one name. So recovery ends as an archive recovery does: with a new timeline, above
every one that the copy, the server it replaces, its archive and earlier restores are known to have
used. PostgreSQL takes the first number without a history file, so numbers that are taken without
the copy's knowledge are shown to it as history files that only its `restore_command` sees.
"""

import os
import re
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from holdfast.contracts.archive import REPLAY, Replay
from holdfast.contracts.local_servers import SERVED, LocalServer
from holdfast.contracts.snapshots import OTHERS
from holdfast.domain.errors import AddonRefused, AddonUnavailable, EvidenceMissing
from holdfast.engines.postgresql.client.address import Session, connect
from holdfast.engines.postgresql.client.tools import ToolSet
from holdfast.engines.postgresql.hosting.server import address, owner_of
from holdfast.engines.postgresql.physical import wal_replay
from holdfast.kit import durable
from holdfast.kit.processes.hosting import give
from holdfast.kit.processes.process import Command, ids_of, run

USED = "timelinesUsed"
"""A fact that a rehearsal is given: the highest timeline of the server it replaces."""

TIMELINE = "timeline"
"""A fact that a rehearsal returns: the timeline it began."""

_SIGNAL = "recovery.signal"
_LABEL = "backup_label"
_HISTORY = re.compile(r"([0-9A-F]{8})\.history")
_SEGMENT = re.compile(r"[0-9A-F]{24}")
_ASK_SECONDS = 60
_MAX_ASKED = 1000
_MARK = "# until recovery has ended"
_CONF = "postgresql.auto.conf"

_NO_OTHER_TARGET: Mapping[str, str] = {
    "recovery_target_lsn": "",
    "recovery_target_name": "",
    "recovery_target_time": "",
    "recovery_target_xid": "",
    "recovery_min_apply_delay": "0",
}
"""Settings that a copied configuration may still hold from an earlier recovery of its server."""

_UNTIL_RECOVERED: Mapping[str, str] = {
    **_NO_OTHER_TARGET,
    "restore_command": "false",
    "recovery_target": "immediate",
    "recovery_target_action": "promote",
    "recovery_target_timeline": "current",
    "recovery_end_command": (
        f'grep -v "{_MARK}" {_CONF} > {_CONF}.new; test $? -le 1 && mv {_CONF}.new {_CONF}'
    ),
}


def control_data(chosen: ToolSet, data: Path) -> Mapping[str, str]:
    """The output of `pg_controldata`, by its own titles."""
    argv = [chosen.program("pg_controldata"), "-D", str(data)]
    finished = run(Command(argv, env={"LC_ALL": "C"}, cwd="/"), timeout=60)
    if finished.status:
        raise EvidenceMissing(f"pg_control cannot be read: {finished.stderr[-300:]}")
    lines = finished.stdout.decode(errors="replace").splitlines()
    parts = (line.partition(":") for line in lines)
    return {title.strip(): value.strip() for title, _, value in parts}


def current_timeline(chosen: ToolSet, data: Path) -> int:
    """The timeline in which a server would go on from this data directory."""
    titles = ("Latest checkpoint's TimeLineID", "Min recovery ending loc's timeline")
    control = control_data(chosen, data)
    return max(int(control[title]) for title in titles)


def latest_timeline(chosen: ToolSet, data: Path) -> int:
    """The highest timeline that a data directory knows of; 0 where there is none."""
    if not (data / "global/pg_control").exists():
        return 0
    names = (_HISTORY.fullmatch(path.name) for path in (data / "pg_wal").glob("*.history"))
    return max(current_timeline(chosen, data), *(int(name[1], 16) for name in names if name), 0)


def highest_used(chosen: ToolSet, server: LocalServer) -> int:
    """The highest timeline that a server and its archive know of.

    The archive of a server that is not ours is asked with its own `restore_command`, run as its own
    user; a server that is down cannot report its command.
    """
    highest = latest_timeline(chosen, server.directory)
    command = ""
    if not server.ours and highest:
        with suppress(AddonRefused, AddonUnavailable), connect(address(server)) as session:
            row = session.execute("SELECT current_setting('restore_command', true)").fetchone()
            command = str(row[0] or "") if row else ""
    for timeline in range(highest + 1, highest + 1 + _MAX_ASKED):
        if not command or not _is_archived(command, timeline, server):
            return timeline - 1
    raise EvidenceMissing(
        "the server's restore_command finds a history of every timeline it is asked for: it has to"
        " fail for what its archive does not hold"
    )


def _is_archived(command: str, timeline: int, server: LocalServer) -> bool:
    user = owner_of(server)
    with tempfile.TemporaryDirectory(prefix="holdfast-") as directory:
        if user is not None:
            os.chown(directory, *ids_of(user))
        name = f"{timeline:08X}.history"
        substitutes = {
            "%%": "%",
            "%f": name,
            "%p": f"{directory}/{name}",
            "%r": f"{timeline:08X}{0:016X}",
        }
        filled = re.sub("%[%fpr]", lambda match: substitutes[match[0]], command)
        fetch = Command(["sh", "-c", filled], cwd=str(server.directory), user=user)
        run(fetch, timeout=_ASK_SECONDS)
        return Path(directory, name).exists()


class NewTimeline:
    """Makes the next boot of `tree / "data"` end its recovery with a new timeline.

    `above` is the highest timeline that must not be used. It is stored in the tree, so that a
    second attempt sees whether the first one had begun the new timeline. No number is skipped
    without need: a restore from an archive finds the latest timeline by counting.
    """

    def __init__(
        self, chosen: ToolSet, tree: Path, server: LocalServer, facts: Mapping[str, Any]
    ) -> None:
        self._chosen = chosen
        self._data = tree / "data"
        self._facts = facts
        self._user = owner_of(server)
        if not (tree / SERVED).exists():
            highest = max(
                _recorded(tree.parent),
                int(facts["end"]["timeline"]),
                int(facts.get(USED, 0)),
                latest_timeline(chosen, self._data),
                latest_timeline(chosen, server.directory),
            )
            durable.write(tree / SERVED, str(highest + 1))
        self.above = _recorded(tree) - 1

    def settings(self, home: Path) -> Mapping[str, str]:
        """Settings of the next boot; none when an earlier attempt had begun the timeline.

        `home` is a directory that its server may read, and that lasts as long as the boot.
        """
        own = current_timeline(self._chosen, self._data)
        if own > self.above:
            return {}
        if (self._data / _LABEL).exists():
            _mark_archived(self._data)
        durable.touch(self._data / _SIGNAL)
        _own_as(self._data, self._data / _SIGNAL)
        replay: Replay | None = self._facts.get(REPLAY)
        histories = replay.log.directory if replay else home / "timelines"
        histories.mkdir(exist_ok=True)
        for timeline in range(own + 1, self.above + 1):
            name = f"{timeline:08X}.history"
            if not (self._data / "pg_wal" / name).exists() and not (histories / name).exists():
                (histories / name).touch()
        give(histories, self._user)
        settings = {
            **_UNTIL_RECOVERED,
            "restore_command": f'cp "{histories}/%f" "%p"',
            "recovery_target": "",  # the copy's WAL ends where it is consistent
            "recovery_target_timeline": _target_timeline(self._facts),
            "recovery_end_command": "",
        }
        if replay is None:
            return settings
        target = wal_replay.settings(replay)
        # Emptying another target after one was set counts as setting two, so it comes last.
        unchanged = {name: value for name, value in settings.items() if name not in target}
        return {**unchanged, **target}

    def require(self, session: Session) -> int:
        """The timeline that has begun. EvidenceMissing when the server goes on in an old one."""
        row = session.execute("SELECT timeline_id FROM pg_control_checkpoint()").fetchone()
        timeline = int(row[0]) if row else 0
        if timeline <= self.above:
            raise EvidenceMissing(
                f"the restored server goes on in timeline {timeline} instead of a new one"
                f" above {self.above}"
            )
        return timeline


def _recorded(directory: Path) -> int:
    note = directory / SERVED
    return int(note.read_text()) if note.exists() else 0


def _mark_archived(data: Path) -> None:
    """Marks the copied server's WAL as archived: that server archives it under its own names."""
    wal = data / "pg_wal"
    status = wal / "archive_status"
    status.mkdir(mode=0o700, exist_ok=True)
    for path in wal.iterdir():
        if _SEGMENT.fullmatch(path.name) or _HISTORY.fullmatch(path.name):
            (status / f"{path.name}.ready").unlink(missing_ok=True)
            (status / f"{path.name}.done").touch(mode=0o600)
            _own_as(data, status / f"{path.name}.done")
    _own_as(data, status)


def _own_as(data: Path, path: Path) -> None:
    if os.geteuid() == 0:
        state = data.stat()
        os.chown(path, state.st_uid, state.st_gid)


def recovery_files(facts: Mapping[str, Any]) -> tuple[dict[str, str], dict[str, str]]:
    """Texts to write and texts to append below a data directory that a person will start.

    Its first start begins a timeline above all that its addon is known to have used. The settings
    remove themselves when recovery has ended.
    """
    own = int(facts["end"]["timeline"])
    used_timelines = (
        int(other.get(TIMELINE, 0) or other.get("end", {}).get("timeline", 0))
        for other in facts.get(OTHERS, ())  # snapshots, and reports of restores
    )
    highest = max(own, *used_timelines, 0)
    settings = {**_UNTIL_RECOVERED, "recovery_target_timeline": _target_timeline(facts)}
    if facts.get("standby", True):  # the WAL of a standby may end where it is consistent
        settings["recovery_target"] = ""
    lines = (
        f"{name} = '{value.replace(chr(39), chr(39) * 2)}'  {_MARK}\n"
        for name, value in settings.items()
    )
    histories = {f"pg_wal/{number:08X}.history": "" for number in range(own + 1, highest + 1)}
    return {_SIGNAL: "", **histories}, {_CONF: "".join(lines)}


def _target_timeline(facts: Mapping[str, Any]) -> str:
    """A number where a standby followed its primary to another timeline during the backup."""
    start, end = (int(facts[point]["timeline"]) for point in ("start", "end"))
    return "current" if start == end else str(end)
