"""What commands do on this machine instead of asking a server: loaded when such a command runs.

The whole server is behind these names. Importing it takes longer than most commands take to ask
one that runs already.
"""

import importlib
from collections.abc import Callable, Mapping
from typing import Any

from holdfast.kit.memory import collecting_nothing

LOCAL: Mapping[str, str] = {
    "serve": "holdfast.cli.processes",
    "api": "holdfast.cli.processes",
    "worker": "holdfast.cli.processes",
    "scheduler": "holdfast.cli.processes",
    "diagnose": "holdfast.cli.equipment",
    "list_tools": "holdfast.cli.equipment",
    "install_tools": "holdfast.cli.equipment",
}


def local(name: str) -> Callable[..., Any]:
    """The function of this name, from the module that has it."""
    with collecting_nothing():
        return getattr(importlib.import_module(LOCAL[name]), name)
