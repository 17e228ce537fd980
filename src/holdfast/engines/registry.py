"""Which engines there are: one line each; the folder does the rest.

The keys are the list of kinds: nothing else in the program names them. A module of this table
offers `create(tools_dir) -> Engine`.
"""

from importlib import import_module
from pathlib import Path
from typing import cast

from holdfast.contracts.engine import Engine
from holdfast.domain.errors import NotSupported

ENGINES = {
    "mongodb": "holdfast.engines.mongodb",
    "mysql": "holdfast.engines.mysql",
    "postgresql": "holdfast.engines.postgresql",
    "redis": "holdfast.engines.redis",
    "sqlite": "holdfast.engines.sqlite",
}


def load_engine(kind: str, tools_dir: Path) -> Engine:
    """The engine of this kind; `tools_dir` is where Holdfast keeps client tools it installed."""
    if kind not in ENGINES:
        kinds = ", ".join(sorted(ENGINES))
        raise NotSupported(f"there is no engine {kind!r}; there are: {kinds}")
    return cast("Engine", import_module(ENGINES[kind]).create(tools_dir))
