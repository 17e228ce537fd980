"""A MySQL server for the tests: Debian 12 has MariaDB only, its unstable suite has both.

Standard library only, as everything in this folder.
"""

import subprocess
import sys
from pathlib import Path

import unstable

PACKAGES = ("mysql-server-core", "mysql-client-core")
PROGRAMS = {"mysqld": "sbin", "mysqldump": "bin", "mysql": "bin"}


def tools_dir() -> Path:
    """What the engine takes as its directory of tools, with a `mysql` folder in it."""
    return unstable.cache() / "mysql-tools"


def present() -> bool:
    return any((tools_dir() / "mysql").glob("[0-9]*/bin/mysqld"))


def ensure() -> None:
    """Installed already is success. Ends the program with a sentence when it cannot be."""
    if present():
        return
    home = unstable.fetch("mysql", PACKAGES)
    for name, folder in PROGRAMS.items():
        more = f" --basedir={home}/root/usr" if name == "mysqld" else ""
        unstable.script(home, f"usr/{folder}/{name}", more)
    said = subprocess.run(
        [home / "bin" / "mysqldump", "--no-defaults", "--version"], capture_output=True
    )
    version = said.stdout.decode().partition(" Ver ")[2].partition("-")[0].strip()
    if said.returncode != 0 or not version:
        sys.exit(f"MySQL does not run here: {said.stderr.decode()}")
    place = tools_dir() / "mysql" / version
    place.mkdir(parents=True, exist_ok=True)
    link = place / "bin"
    if not link.exists():
        link.symlink_to(home / "bin")


if __name__ == "__main__":
    ensure()
    print(tools_dir())
