"""Users of the catalogue on this machine: slow to import, so `local` loads it on demand."""

from pathlib import Path
from typing import Any

from holdfast import bootstrap, settings
from holdfast.bootstrap import Parts
from holdfast.kit.seal import Secret


def create_user(data_dir: Path, body: dict[str, object]) -> dict[str, Any]:
    return bootstrap.create_user(Parts(settings.load({"data_dir": data_dir})), body)


def reset_user(
    data_dir: Path,
    name: str,
    password: Secret | None,
    second_factors: bool,
) -> dict[str, Any]:
    parts = Parts(settings.load({"data_dir": data_dir}))
    return bootstrap.reset_user(parts, name, password, second_factors=second_factors)
