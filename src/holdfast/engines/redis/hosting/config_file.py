"""The configuration file of a server we run: made once, read again when a restore arranges data.

Nothing in it is secret: users and password digests are in the ACL file beside it. The server may
rewrite it (`CONFIG REWRITE`), so it is read as the server would: the last word on a name wins.
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
"""On a command line: nobody, our administrator neither, has the server write files elsewhere,
debug itself or load a library."""
_REACHES = {"include", "loadmodule", "logfile", "rename-command", "syslog-enabled"}
"""What an owner may have had written who had every right."""
_COMMANDED = {
    *("aclfile", "bind", "daemonize", "dir", "pidfile", "port", "unixsocket", "unixsocketperm"),
    *_LOCKS,
}
"""What every command line says; `CONFIG REWRITE` writes it down all the same."""
_MADE_FOR = re.compile(rf"^# made for ({REDIS}|{VALKEY})$", re.MULTILINE)
_UNITS = {"kb": 1 << 10, "mb": 1 << 20, "gb": 1 << 30, "k": 1000, "m": 1000**2, "g": 1000**3}
_AMOUNT = re.compile(r"(\d+)([a-z]*)")

_FIRST = """\
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


def first(flavour: str) -> str:
    return _FIRST.format(flavour=flavour)


def flavour(directory: Path) -> str | None:
    """Which of the two the data directory was made for."""
    try:
        match = _MADE_FOR.search((directory / FILE).read_text(errors="surrogateescape"))
    except FileNotFoundError:
        return None
    return None if match is None else match[1]


def read(path: Path) -> Mapping[str, str]:
    """Settings that have one value, by name."""
    settings: dict[str, str] = {}
    for line in path.read_text(errors="surrogateescape").splitlines():
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        words = shlex.split(line)
        if len(words) >= 2:
            settings[words[0].lower()] = words[1]
    return settings


def amount(text: str) -> int:
    """`100mb` to bytes."""
    match = _AMOUNT.fullmatch(text.lower())
    if match is None or (match[2] not in _UNITS and match[2] not in ("", "b")):
        raise EvidenceMissing(f"{text!r} is not an amount of memory")
    return int(match[1]) * _UNITS.get(match[2], 1)


def settle_in(path: Path) -> None:
    """Takes out what the command line says anyway. A `dir` would be entered on the way to another:
    it may be a live server's, or not there."""
    lines = path.read_text(errors="surrogateescape").splitlines(keepends=True)
    remaining = [line for line in lines if line.partition(" ")[0].lower() not in _COMMANDED]
    durable.write(path, "".join(remaining), path.stat().st_mode & 0o777)


def confine(path: Path) -> None:
    """Takes out what names files, programs or addresses. There whole or not at all."""
    lines = path.read_text(errors="surrogateescape").splitlines(keepends=True)
    unwanted = _COMMANDED | _REACHES
    remaining = [line for line in lines if line.strip().partition(" ")[0].lower() not in unwanted]
    replace_text(path, "".join(remaining))


def replace_text(path: Path, text: str) -> None:
    """With the owner and mode it had."""
    state = path.stat()
    durable.write(path, text, state.st_mode & 0o777, (state.st_uid, state.st_gid))


def require(path: Path, name: str, value: str) -> None:
    """Below everything else, where it wins."""
    with path.open("a", errors="surrogateescape") as file:
        file.write(f"{name} {value}\n")
