"""Writes a server's configuration file once, and reads it when a restore arranges data.

Nothing in it is secret: users and password digests are in the ACL file beside it. The server may
rewrite it (`CONFIG REWRITE`), so it is read as the server reads it: the last value wins.
"""

import re
import shlex
from collections.abc import Mapping
from pathlib import Path

from holdfast.domain.errors import EvidenceMissing
from holdfast.engines.redis.client.tools import REDIS, VALKEY
from holdfast.kit import durable

FILE = "redis.conf"
_LOCKS = ("enable-protected-configs", "enable-debug-command", "enable-module-command")
LOCKED = tuple(word for name in _LOCKS for word in (f"--{name}", "no"))
"""Command-line words: not even our administrator can make the server write files elsewhere, debug
itself or load a library."""
_REACHING_SETTINGS = {"include", "loadmodule", "logfile", "rename-command", "syslog-enabled"}
"""Settings outside of the data that an owner may have changed while being the administrator."""
_COMMAND_LINE_SETTINGS = {
    *("aclfile", "bind", "daemonize", "dir", "pidfile", "port", "unixsocket", "unixsocketperm"),
    *_LOCKS,
}
"""Settings of every command line, which `CONFIG REWRITE` writes into the file."""
_MADE_FOR = re.compile(rf"^# made for ({REDIS}|{VALKEY})$", re.MULTILINE)
_UNITS = {"kb": 1 << 10, "mb": 1 << 20, "gb": 1 << 30, "k": 1000, "m": 1000**2, "g": 1000**3}
_BYTES = re.compile(r"(\d+)([a-z]*)")

_INITIAL = """\
# Port, directory, users, socket and pid file come from the command line that Holdfast uses.
# made for {flavour}
bind 127.0.0.1
protected-mode yes
databases 16
appendonly yes
appendfsync everysec
repl-diskless-sync yes
repl-diskless-sync-delay 0
logfile ""
"""


def initial(flavour: str) -> str:
    return _INITIAL.format(flavour=flavour)


def flavour(directory: Path) -> str | None:
    """The flavour for which the data directory was made."""
    try:
        match = _MADE_FOR.search((directory / FILE).read_text(errors="surrogateescape"))
    except FileNotFoundError:
        return None
    return None if match is None else match[1]


def read(path: Path) -> Mapping[str, str]:
    """The settings with one value, by name."""
    settings: dict[str, str] = {}
    for line in path.read_text(errors="surrogateescape").splitlines():
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        words = shlex.split(line)
        if len(words) >= 2:
            settings[words[0].lower()] = words[1]
    return settings


def parse_bytes(text: str) -> int:
    """The bytes of an amount such as `100mb`."""
    match = _BYTES.fullmatch(text.lower())
    if match is None or (match[2] not in _UNITS and match[2] not in ("", "b")):
        raise EvidenceMissing(f"{text!r} is not an amount of memory")
    return int(match[1]) * _UNITS.get(match[2], 1)


def drop_command_line_settings(path: Path) -> None:
    """Removes settings that the command line makes.

    A server enters the `dir` of its file before that of the command line: it may be another live
    server's, or missing.
    """
    lines = path.read_text(errors="surrogateescape").splitlines(keepends=True)
    remaining = [
        line for line in lines if line.partition(" ")[0].lower() not in _COMMAND_LINE_SETTINGS
    ]
    durable.write(path, "".join(remaining), path.stat().st_mode & 0o777)


def confine(path: Path) -> None:
    """Removes settings that name files, programs or addresses; replaces the file atomically."""
    lines = path.read_text(errors="surrogateescape").splitlines(keepends=True)
    unwanted = _COMMAND_LINE_SETTINGS | _REACHING_SETTINGS
    remaining = [line for line in lines if line.strip().partition(" ")[0].lower() not in unwanted]
    replace_text(path, "".join(remaining))


def replace_text(path: Path, text: str) -> None:
    """Replaces a file's text and keeps its owner and mode."""
    state = path.stat()
    durable.write(path, text, state.st_mode & 0o777, (state.st_uid, state.st_gid))


def append(path: Path, name: str, value: str) -> None:
    """Adds a setting at the end, where it overrides all others."""
    with path.open("a", errors="surrogateescape") as file:
        file.write(f"{name} {value}\n")
