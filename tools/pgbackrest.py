"""A current pgBackRest for `make bench-snapshots`: Debian 12's has no block incremental backups.

Standard library only, as everything in this folder.
"""

import subprocess
import sys
from pathlib import Path

import unstable


def program() -> Path:
    return unstable.cache() / "pgbackrest"


def ensure() -> None:
    """Installed already is success. Ends the program with a sentence when it cannot be."""
    if program().exists():
        return
    home = unstable.fetch("pgbackrest", ["pgbackrest"])
    made = unstable.script(home, "usr/bin/pgbackrest")
    said = subprocess.run([made, "version"], capture_output=True)
    if said.returncode != 0:
        sys.exit(f"pgBackRest does not run here: {said.stderr.decode()}")
    program().symlink_to(made)


if __name__ == "__main__":
    ensure()
    print(program())
