"""Programs of Debian's newer suites, beside the machine's own packages.

`apt-get` downloads them and every library they want into a cache of their own, with lists, state
and sources of its own: nothing is installed, and the machine's sources stay as they are. The
programs run under the C library that came with them, by small scripts.

Standard library only, as everything in this folder.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
LIBRARIES = "usr/lib/x86_64-linux-gnu"

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
exec {loader} --argv0 "$0" --library-path {libraries} {program} "$@"{more}
"""


def cache() -> Path:
    """Where the servers' own user may go, also when this runs as root: not below a directory for
    temporary files, which managed servers see empty."""
    if os.geteuid() == 0:
        return Path("/var/cache/holdfast-test-tools")
    return Path.home() / ".cache" / "holdfast-tests"


def fetch(name: str, packages: Sequence[str], suites: Sequence[str] = ("sid",)) -> Path:
    """A new folder with the packages under `root` and an empty `bin`. A package of a suite that
    is not taken from by itself is named with it: `redis-server/experimental`.

    Ends the program with a sentence when they cannot be had.
    """
    for needed in ("apt-get", "dpkg-deb"):
        if shutil.which(needed) is None or not KEYRING.exists():
            sys.exit(f"{name} comes from Debian's archive: run this on Debian")
    cache().mkdir(parents=True, exist_ok=True)
    cache().chmod(0o755)
    home = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=cache()))
    home.chmod(0o755)
    try:
        _download(home, packages, suites)
        for package in sorted((home / "cache/archives").glob("*.deb")):
            subprocess.run(["dpkg-deb", "-x", str(package), str(home / "root")], check=True)
    finally:
        for leftover in ("cache", "state"):
            shutil.rmtree(home / leftover, ignore_errors=True)
    (home / "bin").mkdir()
    return home


def _archive() -> str:
    """Where this machine gets Debian's packages from."""
    words = ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages"]
    said = subprocess.run(words, capture_output=True, text=True)
    found = sorted(uri for uri in said.stdout.split() if uri.rstrip("/").endswith("/debian"))
    if not found:
        sys.exit("no archive of Debian's packages is set up on this machine")
    return found[0]


def _download(home: Path, packages: Sequence[str], suites: Sequence[str]) -> None:
    for folder in ("state/lists/partial", "cache/archives/partial"):
        (home / folder).mkdir(parents=True)
    (home / "state/status").touch()
    lines = [f"deb [signed-by={KEYRING}] {_archive()} {suite} main\n" for suite in suites]
    (home / "sources.list").write_text("".join(lines))
    user = "root" if os.geteuid() == 0 else ""
    (home / "apt.conf").write_text(_CONF.format(home=home, user=user))
    environment = {**os.environ, "APT_CONFIG": str(home / "apt.conf")}
    wanted = ["--no-install-recommends", "--download-only", *packages]
    for words in (["update", "-q"], ["install", "-qy", *wanted]):
        done = subprocess.run(["apt-get", *words], env=environment, capture_output=True)
        if done.returncode != 0:
            sys.stderr.buffer.write(done.stdout + done.stderr)
            sys.exit(f"apt-get {words[0]} of Debian's {' and '.join(suites)} failed")


def script(home: Path, program: str, more: str = "") -> Path:
    """Makes `bin/NAME` run the program of this path in `root`, with `more` after its arguments.

    The process is called NAME, too: its loader has that name.
    """
    root = home / "root"
    made = home / "bin" / Path(program).name
    loader = home / "loaders" / made.name
    loader.parent.mkdir(exist_ok=True)
    loader.symlink_to(root / LIBRARIES / "ld-linux-x86-64.so.2")
    made.write_text(
        _SCRIPT.format(loader=loader, program=root / program, libraries=root / LIBRARIES, more=more)
    )
    made.chmod(0o755)
    return made
