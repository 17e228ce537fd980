"""Runs the processes of an installation: slow to import, so `local` loads it on demand."""

import asyncio
import logging
import os
import signal
import socket
import threading
from collections.abc import Generator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

import uvicorn

from holdfast import bootstrap, settings
from holdfast.bootstrap import AlarmProcess, Parts, SchedulerProcess, WorkerProcess
from holdfast.domain.errors import Invalid
from holdfast.kit.processes.hardening import keep_memory_private
from holdfast.kit.processes.memory import collect_seldom
from holdfast.kit.redact import redact
from holdfast.kit.telemetry import logs

log = logging.getLogger(__name__)

_TICK_SECONDS = 1.0


def serve(**options: Any) -> None:
    parts = _open(options)
    config = bootstrap.listener_config(parts)
    bootstrap.serve_metrics(parts, installation=True)
    background, deciding = WorkerProcess(parts), SchedulerProcess(parts)
    watching = AlarmProcess(parts, observes_stores=True, beats=True, takes_pings=True)
    background.start()
    deciding.start()
    watching.start()
    try:
        _listen(parts, config)
    finally:
        watching.drain()
        deciding.drain()
        background.drain()
    _leave()


def api(**options: Any) -> None:
    parts = _open(options)
    bootstrap.serve_metrics(parts, installation=True)
    watching = AlarmProcess(parts, observes_stores=False, takes_pings=True)
    watching.start()
    try:
        _listen(parts, bootstrap.listener_config(parts))
    finally:
        watching.drain()
    _leave()


def worker(**options: Any) -> None:
    stopping = _stop_on_signal()
    parts = _open(options)
    bootstrap.serve_metrics(parts, installation=False)
    background, watching = WorkerProcess(parts), AlarmProcess(parts, observes_stores=True)
    background.start()
    watching.start()
    stopping.wait()
    watching.drain()
    background.drain()
    _leave()


def scheduler(**options: Any) -> None:
    stopping = _stop_on_signal()
    parts = _open(options)
    bootstrap.serve_metrics(parts, installation=False)
    background = SchedulerProcess(parts)
    watching = AlarmProcess(parts, observes_stores=True, beats=True)
    background.start()
    watching.start()
    stopping.wait()
    watching.drain()
    background.drain()
    _leave()


def _open(options: dict[str, Any]) -> Parts:
    keep_memory_private()
    chosen = settings.load(options)
    logs.configure(chosen.log_level, chosen.log_format)
    parts = Parts(chosen)
    try:
        _ = parts.master  # a wrong key ends the start here, not at the first secret that is needed
    except Exception as error:
        bootstrap.report_failed_start(chosen, f"Holdfast could not start: {redact(str(error))}")
        raise
    if bootstrap.make_owner(parts):
        log.info("owner token written", extra={"file": str(chosen.data_dir / "owner.token")})
    return parts


def _stop_on_signal() -> threading.Event:
    stopping = threading.Event()

    def stop(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - the signature of handlers
        stopping.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    return stopping


def _listen(parts: Parts, config: uvicorn.Config) -> None:
    """Serves until SIGTERM or SIGINT, then lets running requests end."""
    chosen = parts.settings
    family = socket.AF_INET6 if ":" in chosen.host else socket.AF_INET
    # Named as TCP: only then does asyncio send at once, instead of 40 ms later (Nagle).
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((chosen.host, chosen.port))
    except OSError as error:
        problem = f"cannot listen on {chosen.host}, port {chosen.port}: {error.strerror}"
        if "://" in chosen.host:  # the command line's server has the same variable
            problem += "; HOLDFAST_HOST (--host) is an address of this machine here, no URL"
        raise Invalid(problem, {"host": problem}) from None
    host, port = listener.getsockname()[:2]
    log.info("listening", extra={"host": host, "port": port})
    link = bootstrap.setup_link(parts, port)
    if link is not None:
        log.info("open this link within a day to make the first owner", extra={"link": link})
    collect_seldom()
    _Listener(config).run(sockets=[listener])


class _Listener(uvicorn.Server):
    """uvicorn without two habits of its own.

    It raises the signal that ended it once more, which would kill us before the drain; and it polls
    for a signal ten times a second, where ours wakes it.
    """

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        self._loop, self._signalled = asyncio.get_running_loop(), asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self.handle_exit)
        yield

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        super().handle_exit(sig, frame)
        if self._loop.is_running():
            self._loop.call_soon_threadsafe(bootstrap.end_live_pages, self.config.app)
        if self._loop.is_running():  # not while the other processes are drained
            self._loop.call_soon_threadsafe(self._signalled.set)

    async def main_loop(self) -> None:
        while not await self.on_tick(0):  # 0 each time: then it sets the date of answers
            with suppress(TimeoutError):
                await asyncio.wait_for(self._signalled.wait(), _TICK_SECONDS)


def _leave() -> None:
    """Ends the process at once; threads may still wait for a dead network, but all is written."""
    logging.shutdown()
    os._exit(0)
