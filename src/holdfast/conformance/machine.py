"""What this machine has and lacks, each with how to get it: `holdfast doctor`."""

import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from holdfast.contracts.engine import Engine
from holdfast.contracts.local_servers import Hostable
from holdfast.domain.units import show_bytes
from holdfast.kit.clock import Clock, rfc3339
from holdfast.kit.processes.hosting import can_hide, is_unprivileged
from holdfast.kit.processes.process import Command, run, which

LITTLE_SPACE = 1 << 30
_OLDEST_SANE = 1_767_225_600_000  # 2026-01-01: no installation of this program is older


@dataclass(frozen=True)
class Finding:
    """`remedy` is what to do when it is not well."""

    name: str
    well: bool
    found: str
    remedy: str = ""


def examine(data_dir: Path, clock: Clock, engines: Sequence[Engine]) -> list[Finding]:
    return [
        _python(),
        _disk(data_dir),
        _writable(data_dir),
        _clock(clock),
        _synchronised(),
        _children(),
        *map(_engine, engines),
        *(_servers() if any(_hosts(engine) for engine in engines) else ()),
    ]


def _hosts(engine: Engine) -> bool:
    return isinstance(engine, Hostable) and bool(engine.versions())


def _servers() -> list[Finding]:
    """What keeps managed servers apart."""
    root, hides = not is_unprivileged(), can_hide()
    return [
        Finding(
            "users of managed servers",
            root,
            "each has its own" if root else "all run as this user",
            "run as root, or keep managed servers to projects that trust each other",
        ),
        Finding(
            "files hidden from managed servers",
            hides,
            "each sees its own and none of the others'" if hides else "none are hidden",
            "run as root with CAP_SYS_ADMIN, so that each gets a mount namespace",
        ),
    ]


def _python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    return Finding("Python", sys.version_info >= (3, 11), version, "install Python 3.11 or newer")


def _nearest(path: Path) -> Path:
    return path if path.exists() else _nearest(path.parent)


def _disk(data_dir: Path) -> Finding:
    free = shutil.disk_usage(_nearest(data_dir)).free
    return Finding(
        "free disk",
        free >= LITTLE_SPACE,
        f"{show_bytes(free)} at {data_dir}",
        f"keep at least {show_bytes(LITTLE_SPACE)} free, or choose another --data-dir",
    )


def _writable(data_dir: Path) -> Finding:
    place = _nearest(data_dir)
    probe = place / ".holdfast-doctor"
    try:
        probe.touch()
        probe.unlink()
    except OSError as error:
        return Finding("data directory", well=False, found=str(error), remedy=f"chown {place}")
    return Finding("data directory", well=True, found=f"{data_dir} can be written")


def _clock(clock: Clock) -> Finding:
    now = clock.now()
    return Finding("clock", now > _OLDEST_SANE, f"{rfc3339(now)} UTC", "set the clock; run NTP")


def _synchronised() -> Finding:
    """A container shares its host's clock and has no way to ask; then that is what is said."""
    asked = "timedatectl"
    if which(asked) is None:
        return Finding("clock synchronisation", well=True, found="not asked: no timedatectl here")
    said = run(Command([asked, "show", "--property=NTPSynchronized", "--value"]), timeout=5)
    if said.status != 0:
        return Finding("clock synchronisation", well=True, found="not asked: no systemd here")
    yes = said.stdout.strip() == b"yes"
    return Finding("clock synchronisation", yes, "on" if yes else "off", "timedatectl set-ntp true")


def _children() -> Finding:
    found = which("setpriv")
    return Finding(
        "setpriv, so that children die with their worker",
        found is not None,
        found or "missing",
        "apt-get install util-linux",
    )


def _engine(engine: Engine) -> Finding:
    versions, clients = engine.versions(), engine.clients()
    found = ", ".join(versions) or (f"clients only: {', '.join(clients)}" if clients else "none")
    what = "server and client tools" if isinstance(engine, Hostable) else "library"
    return Finding(f"{engine.title} {what}", bool(versions), found, engine.traits.remedy)
