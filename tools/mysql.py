"""A MySQL server for the tests, from Debian's unstable suite, beside the machine's own packages.

Debian 12 has MariaDB only. `apt-get` downloads MySQL and every library it wants into a cache of
its own, with lists, state and sources of its own: nothing is installed, and the machine's sources
stay as they are. The programs run under the C library that came with them, by small scripts.

Standard library only, as everything in this folder.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
SOURCE = "http://deb.debian.org/debian sid main"
PACKAGES = ("mysql-server-core", "mysql-client-core")
PROGRAMS = {"mysqld": "sbin", "mysqldump": "bin", "mysql": "bin"}

_CONF = """
Dir::Etc::sourcelist "{home}/sources.list";
Dir::Etc::sourceparts "-";
Dir::State "{home}/state";
Dir::State::status "{home}/state/status";
Dir::Cache "{home}/cache";
APT::Sandbox::User "{user}";
APT::Architectures "amd64";
Acquire::Languages "none";
"""
_SCRIPT = """#!/bin/sh
# {program} under the C library it was built for
exec {libraries}/ld-linux-x86-64.so.2 --library-path {libraries} {program} "$@"{more}
"""


def cache() -> Path:
    """Where the servers' own user may go, also when this runs as root."""
    if os.geteuid() == 0:
        return Path("/var/tmp/holdfast-test-tools")
    return Path.home() / ".cache" / "holdfast-tests"


def tools_dir() -> Path:
    """What the engine takes as its directory of tools, with a `mysql` folder in it."""
    return cache() / "mysql-tools"


def present() -> bool:
    return any((tools_dir() / "mysql").glob("[0-9]*/bin/mysqld"))


def ensure() -> None:
    """Installed already is success. Ends the program with a sentence when it cannot be."""
    if present():
        return
    for needed in ("apt-get", "dpkg-deb"):
        if shutil.which(needed) is None or not KEYRING.exists():
            sys.exit("MySQL for the tests comes from Debian's archive: run this on Debian")
    cache().mkdir(parents=True, exist_ok=True)
    cache().chmod(0o755)
    home = Path(tempfile.mkdtemp(prefix="mysql-", dir=cache()))
    home.chmod(0o755)
    try:
        _download(home)
        _unpack(home)
    finally:
        for leftover in ("cache", "state"):
            shutil.rmtree(home / leftover, ignore_errors=True)


def _download(home: Path) -> None:
    for folder in ("state/lists/partial", "cache/archives/partial"):
        (home / folder).mkdir(parents=True)
    (home / "state/status").touch()
    (home / "sources.list").write_text(f"deb [signed-by={KEYRING}] {SOURCE}\n")
    user = "root" if os.geteuid() == 0 else ""
    (home / "apt.conf").write_text(_CONF.format(home=home, user=user))
    environment = {**os.environ, "APT_CONFIG": str(home / "apt.conf")}
    wanted = ["--no-install-recommends", "--download-only", *PACKAGES]
    for words in (["update", "-q"], ["install", "-qy", *wanted]):
        done = subprocess.run(["apt-get", *words], env=environment, capture_output=True)
        if done.returncode != 0:
            sys.stderr.buffer.write(done.stdout + done.stderr)
            sys.exit(f"apt-get {words[0]} of Debian's unstable suite failed")


def _unpack(home: Path) -> None:
    root = home / "root"
    for package in sorted((home / "cache/archives").glob("*.deb")):
        subprocess.run(["dpkg-deb", "-x", str(package), str(root)], check=True)
    libraries = root / "usr/lib/x86_64-linux-gnu"
    programs = home / "bin"
    programs.mkdir()
    for name, folder in PROGRAMS.items():
        program = root / "usr" / folder / name
        more = f" --basedir={root}/usr" if name == "mysqld" else ""
        script = programs / name
        script.write_text(_SCRIPT.format(program=program, libraries=libraries, more=more))
        script.chmod(0o755)
    said = subprocess.run(
        [programs / "mysqldump", "--no-defaults", "--version"], capture_output=True
    )
    version = said.stdout.decode().partition(" Ver ")[2].partition("-")[0].strip()
    if said.returncode != 0 or not version:
        sys.exit(f"MySQL does not run here: {said.stderr.decode()}")
    place = tools_dir() / "mysql" / version
    place.mkdir(parents=True, exist_ok=True)
    link = place / "bin"
    if not link.exists():
        link.symlink_to(programs)


if __name__ == "__main__":
    ensure()
    print(tools_dir())
