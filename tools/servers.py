"""Servers for the tests that Debian 12 does not have: those of newer suites.

Standard library only, as everything in this folder.
"""

import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import unstable


@dataclass(frozen=True)
class Kind:
    """What is unpacked, which programs are made to run, and which one says its version."""

    engine: str
    packages: tuple[str, ...]
    programs: tuple[str, ...]
    asked: str
    options: tuple[str, ...] = ()
    scripts: tuple[str, ...] = ()
    suites: tuple[str, ...] = ("sid",)


KINDS = {
    "mysql": Kind(
        "mysql",
        ("mysql-server-core", "mysql-client-core"),
        ("usr/sbin/mysqld", "usr/bin/mysqldump", "usr/bin/mysql"),
        "mysqldump",
        ("--basedir={home}/root/usr",),
    ),
    "mariadb": Kind(
        "mysql",
        ("mariadb-server-core", "mariadb-client", "mariadb-backup"),
        (
            "usr/sbin/mariadbd",
            *(
                f"usr/bin/{name}"
                for name in (
                    *("mariadb", "mariadb-dump", "mariadb-backup"),
                    *("my_print_defaults", "resolveip", "mariadb-upgrade", "mariadb-check"),
                )
            ),
        ),
        "mariadb-dump",
        (
            "--basedir={home}",
            "--plugin-dir={home}/root/usr/lib/mysql/plugin",
            "--lc-messages-dir={home}/root/usr/share/mariadb",
            "--character-sets-dir={home}/root/usr/share/mariadb/charsets",
        ),
        ("usr/bin/mariadb-install-db",),
    ),
    "redis": Kind("redis", ("redis-server",), ("usr/bin/redis-server",), "redis-server"),
    "newest-redis": Kind(
        "redis",
        ("redis-server/experimental", "redis-tools/experimental"),
        ("usr/bin/redis-server",),
        "redis-server",
        suites=("sid", "experimental"),
    ),
    "valkey": Kind(
        "redis", ("valkey-server",), ("usr/bin/valkey-server",), "valkey-server", suites=("trixie",)
    ),
}
_SERVERS = ("mysqld", "mariadbd")
_VERSION = re.compile(r"(?:from |Ver |v=)(\d+\.\d+\.\d+)")
_SCRIPT = """#!/bin/sh
exec sh {program} "$@" --basedir={home}
"""


def tools_dir(name: str) -> Path:
    """What an engine takes as its directory of tools."""
    return unstable.cache() / f"{name}-tools"


def ensure(name: str) -> None:
    """Installed already is success. Ends the program with a sentence when it cannot be."""
    kind = KINDS[name]
    if any((tools_dir(name) / kind.engine).glob("[0-9]*/bin")):
        return
    home = unstable.fetch(name, kind.packages, kind.suites)
    for program in kind.programs:
        options = kind.options if Path(program).name in _SERVERS else ()
        more = "".join(f" {option.format(home=home)}" for option in options)
        unstable.script(home, program, more)
    for script in kind.scripts:
        made = home / "bin" / Path(script).name
        made.write_text(_SCRIPT.format(program=home / "root" / script, home=home))
        made.chmod(0o755)
    for link, where in (("share", "root/usr/share"), ("sbin", "bin")):
        (home / link).symlink_to(home / where)
    place = tools_dir(name) / kind.engine / _version(home / "bin" / kind.asked)
    place.mkdir(parents=True, exist_ok=True)
    if not (place / "bin").exists():
        (place / "bin").symlink_to(home / "bin")


def _version(program: Path) -> str:
    said = subprocess.run([program, "--version"], capture_output=True, text=True)
    found = _VERSION.search(said.stdout)
    if found is None:
        sys.exit(f"{program.name} does not run here: {said.stderr or said.stdout}")
    return found[1]


if __name__ == "__main__":
    ensure(sys.argv[1])
    print(tools_dir(sys.argv[1]))
