"""`holdfast` on a host that falls ill while it runs, where files in the directory `SICK_HOST` say.

`clock` says by how much the host's clock is wrong, as libfaketime reads it (`+7200`); to set the
real one would set that of everything else on the machine, too.

The data directory is a small disk of its own (a tmpfs that only this process and its children see,
so that it is gone with them), and so is `volume` in it, for the store. Tests reach both through
`/proc`, fill them and mount them read-only. Where mounting is not permitted there is no file
`mounted`; then system calls fail as they do on such disks while `full` or `readonly` is there.
"""

import ctypes
import errno
import os
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from holdfast.cli.main import main
from holdfast.stores.local import upload

SYMPTOMS = Path(os.environ["SICK_HOST"])
DATA_BYTES, VOLUME_BYTES = 320 << 20, 16 << 20
"""Of the data directory more than what counts as nearly full."""

_CLONE_NEWNS, _MS_REC, _MS_PRIVATE = 0x20000, 0x4000, 1 << 18


def mount_disks(data: Path) -> bool:
    """Whether it is permitted."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWNS) or libc.mount(b"none", b"/", None, _MS_REC | _MS_PRIVATE, None):
        return False
    for path, size in ((data, DATA_BYTES), (data / "volume", VOLUME_BYTES)):
        path.mkdir(exist_ok=True)
        options = f"size={size},mode=0711".encode()
        if libc.mount(b"tmpfs", bytes(path), b"tmpfs", 0, options):
            raise OSError(ctypes.get_errno(), f"{path} cannot be mounted")
    return True


def pretend_bad_disks() -> None:
    usage = shutil.disk_usage

    def full_usage(path: Any) -> Any:
        real = usage(path)
        return real._replace(free=1 << 20) if (SYMPTOMS / "full").exists() else real

    def write(*arguments: Any) -> int:
        if (SYMPTOMS / "full").exists():
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return os.write(*arguments)

    def open_file(*arguments: Any) -> int:
        if (SYMPTOMS / "readonly").exists():
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))
        return os.open(*arguments)

    shutil.disk_usage = full_usage  # type: ignore[assignment]
    vars(upload)["os"] = SimpleNamespace(**{**vars(os), "write": write, "open": open_file})


if __name__ == "__main__":
    if mount_disks(Path(sys.argv[sys.argv.index("--data-dir") + 1])):
        (SYMPTOMS / "mounted").touch()
    else:
        pretend_bad_disks()
    main()
