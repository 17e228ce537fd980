"""Sets up what Holdfast needs to be tried, tested and worked on, then runs it.

Standard library only: it runs before anything is installed, on a Debian 12 with Python 3.11 and
git. It says what it installs; what is there already is left alone.
"""

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
LOCK = ROOT / "requirements.lock"
STAMP = VENV / "requirements.sha256"
BIN = VENV / "bin"

Need = tuple[str, str, list[str]]
"""What for, how to see that it is there (a program or a file pattern), and Debian's packages."""

RUN: list[Need] = [
    ("PostgreSQL server and client", "/usr/lib/postgresql/*/bin/postgres", ["postgresql"]),
    ("PostgreSQL client tools", "/usr/lib/postgresql/*/bin/pg_dump", ["postgresql-client"]),
]
CHROMIUM: Need = ("Chromium, for tests of the dashboard", "/usr/bin/chromium", ["chromium"])
TEST: list[Need] = [
    *RUN,
    ("MariaDB server, for the engine's tests", "mariadbd", ["mariadb-server"]),
    ("MariaDB client tools", "mariadb-dump", ["mariadb-client"]),
    ("MariaDB's physical backup, for snapshots", "mariadb-backup", ["mariadb-backup"]),
    ("PgBouncer, to be told from a server", "pgbouncer", ["pgbouncer"]),
    (
        "PostGIS, an extension with data of its own",
        "/usr/share/postgresql/15/extension/postgis.control",
        ["postgresql-15-postgis-3"],
    ),
    ("zstd, to open dumps with stock tools", "zstd", ["zstd"]),
    ("age, to open archived logs with the stock tool", "age", ["age"]),
    (
        "faketime, for a host whose clock jumps",
        "/usr/lib/*/faketime/libfaketimeMT.so.1",
        ["faketime"],
    ),
    ("libcurl, which MongoDB's server loads", "/usr/lib/*/libcurl.so.4", ["libcurl4"]),
    ("Redis server, for its tests", "redis-server", ["redis-server"]),
    ("SQLite's shell, to open dumps and snapshots of files", "sqlite3", ["sqlite3"]),
    ("restic, to open snapshots with the stock tool", "restic", ["restic"]),
    ("Ceph's S3 server, for the store tests", "radosgw", ["radosgw"]),
    ("Ceph's monitor, for the S3 server", "ceph-mon", ["ceph-mon"]),
    ("Ceph's object store, for the S3 server", "ceph-osd", ["ceph-osd"]),
    ("Prometheus and promtool, for alert rules and the board", "promtool", ["prometheus"]),
    ("Node.js, for the official JS client and CLI", "node", ["nodejs"]),
    ("npm, for the official JS client and CLI", "npm", ["npm"]),
    CHROMIUM,
]

ROOM = 8 << 30
"""Bytes of memory from which tests write there. A whole run leaves some 3 GB behind."""


def say(text: str) -> None:
    print(f"-- {text}", flush=True)


def present(probe: str) -> bool:
    if probe.startswith("/"):
        return any(Path("/").glob(probe.lstrip("/")))
    return shutil.which(probe, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/bin") is not None


def install_packages(needs: list[Need]) -> None:
    missing = [need for need in needs if not present(need[1])]
    if not missing:
        return
    for purpose, _, packages in missing:
        say(f"installing {' '.join(packages)}: {purpose}")
    names = [name for _, _, packages in missing for name in packages]
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    by_hand = f"install by hand, as root: apt-get install {' '.join(names)}"
    as_root = [] if os.geteuid() == 0 else ["sudo", "--preserve-env=DEBIAN_FRONTEND"]
    for program in (*as_root[:1], "apt-get"):
        if shutil.which(program) is None:
            sys.exit(f"there is no {program} here; {by_hand}")
    for words in (["update", "-q"], ["install", "-qy", "--no-install-recommends", *names]):
        done = subprocess.run([*as_root, "apt-get", *words], env=environment, capture_output=True)
        if done.returncode != 0:
            sys.stderr.buffer.write(done.stdout + done.stderr)
            sys.exit(f"apt-get {words[0]} failed; {by_hand}")


def make_venv() -> None:
    wanted = hashlib.sha256(LOCK.read_bytes()).hexdigest()
    if STAMP.exists() and STAMP.read_text() == wanted:
        return
    if not (BIN / "pip").exists():
        say("creating .venv")
        done = subprocess.run([sys.executable, "-m", "venv", str(VENV)], capture_output=True)
        if done.returncode != 0:  # Debian splits venv off
            install_packages([("venv, for Python packages", "no-such-file", ["python3-venv"])])
            subprocess.run([sys.executable, "-m", "venv", "--clear", str(VENV)], check=True)
    say("installing the Python packages of requirements.lock into .venv")
    pip = [str(BIN / "pip"), "install", "-q", "--disable-pip-version-check"]
    subprocess.run([*pip, "--require-hashes", "-r", str(LOCK)], check=True)
    subprocess.run([*pip, "--no-deps", "--no-build-isolation", "-e", str(ROOT)], check=True)
    STAMP.write_text(wanted)


def _environment() -> dict[str, str]:
    return {**os.environ, "PATH": f"{BIN}:{os.environ.get('PATH', '')}:/usr/sbin"}


def run(*words: str, **environment: str) -> int:
    return subprocess.run(words, cwd=ROOT, env=_environment() | environment).returncode


def demo(extra: list[str]) -> int:
    install_packages(RUN)
    make_venv()
    return run(str(BIN / "python"), "-m", "demo", *extra)


def screenshots(extra: list[str]) -> int:
    install_packages([*RUN, CHROMIUM])
    make_venv()
    return run(str(BIN / "python"), "-m", "demo.screenshots", *extra)


def test(extra: list[str]) -> int:
    """All of it in lanes, or what `extra` names in one.

    Most tests wait for servers, so three lanes run on two cores. `tests/conftest.py` says which
    tests stay together in one lane.
    """
    install_packages(TEST)
    make_venv()
    lanes = [] if extra else ["-n", "3", "--no-loadscope-reorder"]
    words = [str(BIN / "pytest"), "-m", "not slow", "-p", "no:cacheprovider", *lanes, *extra]
    return run(*words, **_test_directory())


def _test_directory() -> dict[str, str]:
    """TMPDIR in memory where there is plenty: servers and catalogues of tests sync a lot, and a
    fifth of the run is waiting for the disk."""
    memory = Path("/dev/shm")
    if "TMPDIR" in os.environ or not memory.is_dir() or shutil.disk_usage(memory).free < ROOM:
        return {}
    say(f"tests write to {memory}; TMPDIR chooses another place")
    return {"TMPDIR": str(memory)}


def test_slow(extra: list[str]) -> int:
    install_packages(TEST)
    make_venv()
    return run(str(BIN / "pytest"), "-m", "slow", *extra)


def test_wild(extra: list[str]) -> int:
    """Databases that nobody designed, `--seeds FROM:TO` of each engine and form of backup."""
    parser = argparse.ArgumentParser(prog="dev.py test-wild")
    parser.add_argument("--seeds", default="0:100")
    parser.add_argument("--only", default="", help="as pytest's -k, for example: sqlite and dump")
    chosen = parser.parse_args(extra)
    install_packages(TEST)
    make_venv()
    os.environ["HOLDFAST_WILD_SEEDS"] = chosen.seeds
    only = ["-k", chosen.only] if chosen.only else []
    return run(str(BIN / "pytest"), "-v", "tests/wild", *only)


def check(extra: list[str]) -> int:
    """Everything that needs no server: format, lint, types, import contracts."""
    make_venv()
    failed = [
        words[0]
        for words in (
            ["ruff", "format", "--check", "."],
            ["ruff", "check", "."],
            ["pyright"],
            ["lint-imports"],
            ["python", "tools/style.py"],
        )
        if run(str(BIN / words[0]), *words[1:]) != 0
    ]
    if failed:
        say(f"failed: {', '.join(failed)}")
    return len(failed)


def bench_dump(extra: list[str]) -> int:
    install_packages(TEST)
    make_venv()
    return run(str(BIN / "python"), "-m", "benchmarks.dump", *extra)


def bench_engines(extra: list[str]) -> int:
    install_packages(TEST)
    make_venv()
    return run(str(BIN / "python"), "-m", "benchmarks.engines", *extra)


def bench_snapshots(extra: list[str]) -> int:
    install_packages(TEST)
    make_venv()
    return run(str(BIN / "python"), "-m", "benchmarks.snapshots", *extra)


def bench_api(extra: list[str]) -> int:
    install_packages(RUN)
    make_venv()
    return run(str(BIN / "python"), "-m", "benchmarks.api", *extra)


def bench_drills(extra: list[str]) -> int:
    install_packages(RUN)
    make_venv()
    return run(str(BIN / "python"), "-m", "benchmarks.drills", *extra)


def bench_metrics(extra: list[str]) -> int:
    make_venv()
    return run(str(BIN / "python"), "-m", "benchmarks.metrics", *extra)


def bench_web(extra: list[str]) -> int:
    install_packages(RUN)
    make_venv()
    return run(str(BIN / "python"), "-m", "benchmarks.web", *extra)


def bench_pitr(extra: list[str]) -> int:
    others = [(f"{name}, to compare with", name, [name]) for name in ("pgbackrest", "barman")]
    install_packages([*RUN, *others])
    make_venv()
    return run(str(BIN / "python"), "-m", "benchmarks.pitr", *extra)


def bench_schedules(extra: list[str]) -> int:
    """Schedules, then what becomes of their backups."""
    install_packages(RUN)
    make_venv()
    failed = run(str(BIN / "python"), "-m", "benchmarks.schedules", *extra)
    return failed or run(str(BIN / "python"), "-m", "benchmarks.retention")


COMMANDS = {
    "demo": demo,
    "screenshots": screenshots,
    "test": test,
    "test-slow": test_slow,
    "test-wild": test_wild,
    "check": check,
    "bench-dump": bench_dump,
    "bench-engines": bench_engines,
    "bench-snapshots": bench_snapshots,
    "bench-api": bench_api,
    "bench-drills": bench_drills,
    "bench-metrics": bench_metrics,
    "bench-pitr": bench_pitr,
    "bench-web": bench_web,
    "bench-schedules": bench_schedules,
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("command", choices=COMMANDS)
    chosen, extra = parser.parse_known_args()
    if sys.version_info < (3, 11):
        sys.exit("Holdfast needs Python 3.11 or newer")
    return COMMANDS[chosen.command](extra)


if __name__ == "__main__":
    sys.exit(main())
