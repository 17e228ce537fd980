"""Examines what this machine has and lacks, with remedies, for `holdfast doctor`."""

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

MIN_FREE_BYTES = 1 << 30
_EARLIEST_SANE_MS = 1_767_225_600_000  # 2026-01-01: no installation of this program is older


@dataclass(frozen=True)
class Finding:
    """One result of an examination; `remedy` says what to do when it is not well."""

    name: str
    well: bool
    found: str
    remedy: str = ""


def examine(data_dir: Path, clock: Clock, engines: Sequence[Engine]) -> list[Finding]:
    """Returns what was found, in the order in which `doctor` shows it."""
    version = ".".join(map(str, sys.version_info[:3]))
    free = shutil.disk_usage(_nearest(data_dir)).free
    now = clock.now()
    setpriv = which("setpriv")
    can_run_servers = any(isinstance(e, Hostable) and bool(e.versions()) for e in engines)
    return [
        Finding("Python", sys.version_info >= (3, 11), version, "install Python 3.11 or newer"),
        Finding(
            "free disk",
            free >= MIN_FREE_BYTES,
            f"{show_bytes(free)} at {data_dir}",
            f"keep at least {show_bytes(MIN_FREE_BYTES)} free, or choose another --data-dir",
        ),
        examine_data_directory(data_dir),
        Finding("clock", now > _EARLIEST_SANE_MS, f"{rfc3339(now)} UTC", "set the clock; run NTP"),
        examine_synchronisation(),
        Finding(
            "setpriv, so that children die with their worker",
            setpriv is not None,
            setpriv or "missing",
            "apt-get install util-linux",
        ),
        *map(examine_engine, engines),
        *(examine_isolation() if can_run_servers else ()),
    ]


def examine_isolation() -> list[Finding]:
    """Examines what keeps managed servers apart."""
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


def _nearest(path: Path) -> Path:
    return path if path.exists() else _nearest(path.parent)


def examine_data_directory(data_dir: Path) -> Finding:
    existing = _nearest(data_dir)
    probe = existing / ".holdfast-doctor"
    try:
        probe.touch()
        probe.unlink()
    except OSError as error:
        return Finding("data directory", well=False, found=str(error), remedy=f"chown {existing}")
    return Finding("data directory", well=True, found=f"{data_dir} can be written")


def examine_synchronisation() -> Finding:
    """Examines NTP, where it can: a container shares its host's clock and cannot ask."""
    program = "timedatectl"
    if which(program) is None:
        return Finding("clock synchronisation", well=True, found="not asked: no timedatectl here")
    answer = run(Command([program, "show", "--property=NTPSynchronized", "--value"]), timeout=5)
    if answer.status != 0:
        return Finding("clock synchronisation", well=True, found="not asked: no systemd here")
    yes = answer.stdout.strip() == b"yes"
    return Finding("clock synchronisation", yes, "on" if yes else "off", "timedatectl set-ntp true")


def examine_engine(engine: Engine) -> Finding:
    versions, clients = engine.versions(), engine.clients()
    versions_text = ", ".join(versions) or (
        f"clients only: {', '.join(clients)}" if clients else "none"
    )
    if not versions and not engine.traits.needs_programs:
        versions_text = "no server to run; servers of your own need none"
    parts = "server and client tools" if isinstance(engine, Hostable) else "library"
    well = bool(versions) or not engine.traits.needs_programs
    return Finding(f"{engine.title} {parts}", well, versions_text, engine.traits.remedy)
