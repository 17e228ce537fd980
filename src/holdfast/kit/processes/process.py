"""Starts child processes; no other module does.

Every child gets its own session, so that ending it ends its whole process group, and dies with
the thread that started it (`setpriv --pdeathsig`, util-linux): a worker that is killed leaves no
dump running. Arguments are lists, never shell text, and never hold a secret; secrets travel in
the environment, in a file in memory or in a 0600 file. The environment of a child is built from
nothing but a few harmless variables, so our own secrets do not leak into it.
"""

import contextlib
import fcntl
import os
import pwd
import shutil
import signal
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import IO, TypedDict

from holdfast.domain.errors import ChildFailed, ToolMissing
from holdfast.kit.processes.cell import Cell, confined
from holdfast.kit.seal import Secret

PIPE = subprocess.PIPE
DISCARD = subprocess.DEVNULL
PIPE_BYTES = 1 << 20
_STDERR_LINES = 200
_INHERITED = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR")


PRIVATE = "/dev/fd/private"
"""Stands in an argv for the path of a file in memory that only this child gets."""


@dataclass(frozen=True)
class Command:
    """What to start.

    `user` is a name or uid to run as, used only by root; a uid needs no account. `cell` hides
    files from the program. `private` is the text of a file that is on no disk: arguments name it
    as `PRIVATE`.
    """

    argv: Sequence[str]
    env: Mapping[str, str] = field(default_factory=dict[str, str])
    cwd: str | None = None
    user: str | int | None = None
    private: Secret | None = None
    cell: Cell | None = None

    @property
    def program(self) -> str:
        return os.path.basename(self.argv[0])  # noqa: PTH119 - argv holds strings


@dataclass(frozen=True)
class Finished:
    """How a child ended: `status` is the exit status, negative for a signal."""

    program: str
    status: int
    stdout: bytes
    stderr: str

    def fact(self) -> dict[str, object]:
        return {"program": self.program, "exitStatus": self.status}


def which(name: str) -> str | None:
    return shutil.which(name)


def clean_environment(extra: Mapping[str, str]) -> dict[str, str]:
    inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    return {**inherited, "LC_MESSAGES": "C", **extra}


class Child:
    """A running child with a pipe to write to and a pipe to read from, as asked."""

    def __init__(
        self,
        command: Command,
        *,
        stdin: int | IO[bytes] = subprocess.DEVNULL,
        stdout: int | IO[bytes] = subprocess.PIPE,
        hear: Callable[[str], bool] | None = None,
    ) -> None:
        """`hear` gets each line of stderr, in a thread of its own; lines for which it returns True
        are no complaints and are not kept."""
        self.command = command
        self._hear = hear
        self._stderr: deque[str] = deque(maxlen=_STDERR_LINES)
        with _handed(command) as (argv, descriptors):
            try:
                self._popen = subprocess.Popen(
                    _dies_with_us(argv, command),
                    stdin=stdin,
                    stdout=stdout,
                    stderr=subprocess.PIPE,
                    env=_environment(command),
                    cwd=command.cwd,
                    start_new_session=True,
                    pass_fds=descriptors,
                    bufsize=0,
                    **_identity(command),
                )
            except FileNotFoundError as error:
                raise ToolMissing(f"{command.argv[0]} is not installed") from error
        for pipe in (self._popen.stdin, self._popen.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError, AttributeError):
                    fcntl.fcntl(pipe.fileno(), fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        self._collector = threading.Thread(target=self._collect, daemon=True)
        self._collector.start()

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def stdin(self) -> IO[bytes]:
        if self._popen.stdin is None:
            raise ValueError(f"{self.command.program} was started without a pipe to write to")
        return self._popen.stdin

    @property
    def stdout(self) -> IO[bytes]:
        if self._popen.stdout is None:
            raise ValueError(f"{self.command.program} was started without a pipe to read from")
        return self._popen.stdout

    def _collect(self) -> None:
        stderr = self._popen.stderr
        if stderr is None:
            return
        with contextlib.suppress(ValueError, OSError):
            for raw_line in stderr:
                line = raw_line.decode(errors="replace").rstrip("\n")
                if self._hear is None or not self._hear(line):
                    self._stderr.append(line)

    def kill(self) -> None:
        """Ends the whole group at once. Safe from any thread, at any time, repeatedly."""
        if self._popen.poll() is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._popen.pid, signal.SIGKILL)

    def ended(self) -> bool:
        return self._popen.poll() is not None

    def wait(self, timeout: float | None = None) -> Finished:
        """Waits for the end; does not judge it. A child that outlives `timeout` is killed."""
        try:
            status = self._popen.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            status = self._popen.wait()
        self._collector.join(5)
        return Finished(self.command.program, status, b"", "\n".join(self._stderr))

    def close(self) -> None:
        """Kills a child that still runs and closes the pipes."""
        self.kill()
        self._popen.wait()
        self._collector.join(5)
        for pipe in (self._popen.stdin, self._popen.stdout, self._popen.stderr):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()


def require_success(finished: Finished) -> Finished:
    """Raises ChildFailed with the last words of a child that did not exit with 0."""
    if finished.status == 0:
        return finished
    ending = (
        f"exited with status {finished.status}"
        if finished.status > 0
        else f"was ended by signal {-finished.status}"
    )
    words = finished.stderr.strip()[-2000:] or "it said nothing"
    raise ChildFailed(f"{finished.program} {ending}: {words}", **finished.fact())


def run(command: Command, *, feed: bytes = b"", timeout: float = 60.0) -> Finished:
    """Runs a short-lived child to its end and keeps its output (bounded use: small outputs).

    Does not judge the exit status. A child that outlives `timeout` seconds is killed, and then
    its status is negative.
    """
    child = Child(command, stdin=subprocess.PIPE)

    def write_input() -> None:
        # A child may end before it has read everything (OSError), or before this thread even
        # began: then the pipe is closed (ValueError). Its exit status says what that means.
        with contextlib.suppress(OSError, ValueError), child.stdin as pipe:
            pipe.write(feed)

    timer = threading.Timer(timeout, child.kill)
    timer.start()
    try:
        feeder = threading.Thread(target=write_input, daemon=True)
        feeder.start()
        out = child.stdout.read()
        finished = child.wait()
        return Finished(finished.program, finished.status, out, finished.stderr)
    finally:
        timer.cancel()
        child.close()


@dataclass(frozen=True)
class Detached:
    """A server that outlives us.

    `ended()` is its exit status, None while it runs; `kill` may be called from any thread.
    """

    pid: int
    ended: Callable[[], int | None]
    kill: Callable[[], None]


def start_detached(command: Command, log: IO[bytes]) -> Detached:
    """Starts a server that outlives us, with its output to `log`."""
    try:
        popen = subprocess.Popen(
            _in_cell(command.argv, command, None),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=_environment(command),
            cwd=command.cwd,
            start_new_session=True,
            **_identity(command),
        )
    except FileNotFoundError as error:
        raise ToolMissing(f"{command.argv[0]} is not installed") from error
    threading.Thread(target=popen.wait, daemon=True).start()  # reaps it: no zombie while we live
    return Detached(popen.pid, popen.poll, popen.kill)


@contextmanager
def _handed(command: Command) -> Generator[tuple[list[str], list[int]]]:
    """Yields the arguments, and the descriptors that the child inherits.

    A file in memory can be read twice, as a pipe cannot; some programs do.
    """
    if command.private is None:
        yield list(command.argv), []
        return
    descriptor = os.memfd_create("private")
    try:
        os.write(descriptor, command.private.reveal().encode())
        os.fchmod(descriptor, 0o600)
        if command.user is not None and os.geteuid() == 0:
            os.fchown(descriptor, *ids_of(command.user))
        name = f"/dev/fd/{descriptor}"
        yield [word.replace(PRIVATE, name) for word in command.argv], [descriptor]
    finally:
        os.close(descriptor)


class _Identity(TypedDict, total=False):
    user: int
    group: int
    extra_groups: list[int]


def ids_of(user: str | int) -> tuple[int, int]:
    """The uid and gid of a user; a uid without an account is its own group."""
    if isinstance(user, str):
        entry = pwd.getpwnam(user)
        return entry.pw_uid, entry.pw_gid
    try:
        return user, pwd.getpwuid(user).pw_gid
    except KeyError:
        return user, user


def _identity(command: Command) -> _Identity:
    """Only root can, and must, change the user; in a cell `confine.py` does it last."""
    if command.user is None or command.cell is not None or os.geteuid() != 0:
        return {}
    uid, gid = ids_of(command.user)
    return {"user": uid, "group": gid, "extra_groups": []}


def _environment(command: Command) -> dict[str, str]:
    """A child that runs as another user does not get our HOME."""
    own = {} if command.user is None else {"HOME": command.cwd or "/"}
    return clean_environment({**own, **command.env})


def _in_cell(argv: Sequence[str], command: Command, parent: int | None) -> list[str]:
    if command.cell is None:
        return list(argv)
    becomes = command.user is not None and os.geteuid() == 0
    user = ids_of(command.user) if becomes and command.user is not None else None
    return confined(argv, command.cell, user, parent)


def _dies_with_us(argv: Sequence[str], command: Command) -> list[str]:
    if command.cell is not None:
        return _in_cell(argv, command, os.getpid())
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "KILL", "--", *argv] if setpriv else list(argv)
