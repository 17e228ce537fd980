"""Finds the data directory of a server on this machine."""

import socket
from pathlib import Path

import psutil

from holdfast.contracts.engine import Address
from holdfast.engines.mysql.client.address import is_local
from holdfast.engines.mysql.client.connection import Session


def data_directory(session: Session, address: Address) -> Path | None:
    """None unless the process in the server's pid file runs here, in that directory."""
    if not is_local(address):
        return None
    directory, pid_file, host = session.row("SELECT @@datadir, @@pid_file, @@hostname")
    data = Path(directory)
    pid_path = Path(pid_file) if str(pid_file).startswith("/") else data / str(pid_file)
    try:
        if host != socket.gethostname() or not data.is_dir():
            return None
        process = psutil.Process(int(pid_path.read_text()))
        return data if Path(process.cwd()) == data.resolve() else None
    except (OSError, ValueError, psutil.Error):
        return None
