"""What commands do on this machine instead of asking a server: loaded when such a command runs.

The whole server is behind these names. Importing it takes longer than most commands take to ask
one that runs already.
"""

import importlib
from collections.abc import Callable, Mapping
from typing import Any

from holdfast.kit.processes.memory import collecting_nothing

LOCAL: Mapping[str, str] = {
    "serve": "holdfast.cli.machine.processes",
    "api": "holdfast.cli.machine.processes",
    "worker": "holdfast.cli.machine.processes",
    "scheduler": "holdfast.cli.machine.processes",
    "diagnose": "holdfast.cli.machine.equipment",
    "list_tools": "holdfast.cli.machine.equipment",
    "install_tools": "holdfast.cli.machine.equipment",
}


def local(name: str) -> Callable[..., Any]:
    """The function of this name, from the module that has it."""
    with collecting_nothing():
        return getattr(importlib.import_module(LOCAL[name]), name)
