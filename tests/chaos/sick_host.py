"""`holdfast` on a host that falls ill while it runs, where files in the directory `SICK_HOST` say.

`clock` holds the seconds by which the host's clock is wrong. While `full` is there its disk is
full, while `readonly` is there its store cannot be written: system calls fail as they do then.
"""

import errno
import os
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from holdfast.cli.main import main
from holdfast.kit.clock import SystemClock
from holdfast.stores.local import upload

SYMPTOMS = Path(os.environ["SICK_HOST"])


def fall_ill() -> None:
    now, usage = SystemClock.now, shutil.disk_usage

    def wrong_now(self: SystemClock) -> int:
        file = SYMPTOMS / "clock"
        wrong = float(file.read_text()) if file.exists() else 0
        return now(self) + round(1000 * wrong)

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

    SystemClock.now = wrong_now  # type: ignore[method-assign]
    shutil.disk_usage = full_usage  # type: ignore[assignment]
    vars(upload)["os"] = SimpleNamespace(**{**vars(os), "write": write, "open": open_file})


if __name__ == "__main__":
    fall_ill()
    main()
