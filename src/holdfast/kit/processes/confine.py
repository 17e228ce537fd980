"""Becomes another program with fewer rights; `cell.py` runs it as a script, without our packages.

    python -I -S confine.py '{"user": [uid, gid], "hidden": [...], ...}' program argument ...

A mount namespace of its own hides directories behind empty ones; visible paths below them are
mounted back. Then the user changes, all capabilities go, and no program that it starts can get any
back. Where the kernel allows no mount namespace the program runs without one, and says so.
"""

import ctypes
import json
import os
import signal
import sys

CLONE_NEWNS = 0x00020000
MS_NOSUID, MS_NODEV, MS_BIND, MS_REC, MS_PRIVATE = 2, 4, 4096, 16384, 1 << 18
PR_SET_PDEATHSIG, PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS = 1, 24, 38
MAX_CAPABILITIES = 64
SHARED = ("/tmp", "/var/tmp", "/dev/shm")  # noqa: S108 - hidden, not used

NOT_HIDDEN = "holdfast: other files are not hidden from this server"

_libc = ctypes.CDLL(None, use_errno=True)


def _require(result: int, action: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{action}: {os.strerror(number)}")


def _mount(source: str, target: str, kind: str, flags: int, options: str = "") -> None:
    words = [text.encode() or None for text in (source, target, kind)]
    _require(_libc.mount(*words, ctypes.c_ulong(flags), options.encode() or None), target)


def _is_below(path: str, others: list[str]) -> bool:
    """Whether `path` lies inside one of `others`.

    A directory inside a visible one gets no mount of its own: once renamed out of a mount it would
    have no name, and a server is recognised by the name of its directory.
    """
    return any(path.startswith(f"{other}/") for other in others)


def hide(hidden: list[str], visible: list[str]) -> None:
    """Mounts empty directories over the `hidden` ones, then the `visible` paths back into them."""
    _require(_libc.unshare(CLONE_NEWNS), "unshare")
    _mount("none", "/", "", MS_REC | MS_PRIVATE)
    below = [path for path in visible if _is_below(path, hidden) and not _is_below(path, visible)]
    descriptors = {path: os.open(path, os.O_PATH) for path in below if os.path.isdir(path)}  # noqa: PTH112
    for path in hidden:
        if os.path.isdir(path):  # noqa: PTH112
            mode = "1777" if path in SHARED else "0711"
            _mount("tmpfs", path, "tmpfs", MS_NOSUID | MS_NODEV, f"mode={mode}")
    for path, descriptor in descriptors.items():
        os.makedirs(path, mode=0o711, exist_ok=True)  # noqa: PTH103
        _mount(f"/proc/self/fd/{descriptor}", path, "", MS_BIND | MS_REC)
        os.close(descriptor)


def become(user: list[int] | None) -> None:
    """Drops all capabilities for good and takes on `user`, a [uid, gid]."""
    for capability in range(MAX_CAPABILITIES):
        _libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)
    if user is not None:
        os.setgroups([])
        os.setresgid(user[1], user[1], user[1])
        os.setresuid(user[0], user[0], user[0])
    _require(_libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs")


def main(document: str, argv: list[str]) -> None:
    settings = json.loads(document)
    directory = os.getcwd()  # noqa: PTH109
    if settings["hidden"]:
        before = os.umask(0o022)
        try:
            hide(settings["hidden"], settings["visible"])
        except OSError as error:
            text = f"{NOT_HIDDEN}: {error}"
            sys.stderr.write(f"{text}\n")
        os.chdir(directory)  # the old working directory is still the one in which nothing is hidden
        os.umask(before)
    become(settings["user"])
    if settings["parent"]:
        _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != settings["parent"]:
            os.kill(os.getpid(), signal.SIGKILL)
    os.execvp(argv[0], argv)  # noqa: S606


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
