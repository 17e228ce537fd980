"""Operating system users of servers: one for each, so that none reads the files of another.

Addons get theirs from the front of the range and keep it in their row; throwaway servers borrow one
from its end for as long as a process holds the lock of that uid.
"""

import pwd
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from holdfast.catalog import addons
from holdfast.domain.errors import Permanent
from holdfast.kit.locks import try_exclusive
from holdfast.usecases.toolbox import Toolbox

_NONE_LEFT = "every uid of server_uids is in use: HOLDFAST_SERVER_UIDS needs a larger range"


def free_uid(tools: Toolbox, assigned: set[int]) -> int:
    """The first uid of our range that neither an addon, a throwaway server nor a user has."""
    for uid in tools.server_uids or ():
        if uid in assigned or _has_user(uid):
            continue
        if (lock := try_exclusive(_lock_file(tools, uid))) is not None:
            lock.close()
            return uid
    raise Permanent(_NONE_LEFT)


@contextmanager
def lent_uid(tools: Toolbox) -> Generator[int | None]:
    """A uid for a throwaway server; None: we are not root, so servers run as we do."""
    if tools.server_uids is None:
        yield None
        return
    with tools.catalog.read() as session:
        assigned = addons.taken_uids(session, tools.node)
    for uid in reversed(tools.server_uids):
        if uid in assigned or _has_user(uid):
            continue
        if (lock := try_exclusive(_lock_file(tools, uid))) is not None:
            with lock:
                yield uid
            return
    raise Permanent(_NONE_LEFT)


def _lock_file(tools: Toolbox, uid: int) -> Path:
    directory = tools.data_dir / "lent-uids"
    directory.mkdir(mode=0o700, exist_ok=True)
    return directory / str(uid)


def _has_user(uid: int) -> bool:
    """Whether a user of the machine has this uid, even in directories that do not list them."""
    if any(entry.pw_uid == uid for entry in pwd.getpwall()):
        return True
    try:
        pwd.getpwuid(uid)
    except KeyError:
        return False
    return True
