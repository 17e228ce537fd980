"""Is a server on this machine, and where are its files? Nothing is known of one elsewhere."""

import socket
from pathlib import Path

import psutil

from holdfast.contracts.engine import Address
from holdfast.engines.mysql.client.address import is_local
from holdfast.engines.mysql.client.connection import Session


def data_directory(session: Session, address: Address) -> Path | None:
    """None unless a process of this machine serves that directory, under the pid it says."""
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
