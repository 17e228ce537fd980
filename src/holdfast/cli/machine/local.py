"""Loads the commands that work on this machine, without a server, when one of them runs.

They import the whole server, which takes longer than most commands need to ask a running one.
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
    "create_user": "holdfast.cli.machine.equipment",
    "reset_user": "holdfast.cli.machine.equipment",
}


def local(name: str) -> Callable[..., Any]:
    """Returns the function of this name, from the module that has it."""
    with collecting_nothing():
        return getattr(importlib.import_module(LOCAL[name]), name)
