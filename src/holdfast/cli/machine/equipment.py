"""Works on this machine without a server: slow to import, so `local` loads it on demand."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from holdfast import bootstrap, settings
from holdfast.bootstrap import Parts
from holdfast.kit.seal import Secret


def _parts(data_dir: Path | None) -> Parts:
    return Parts(settings.load({"data_dir": data_dir}))


def diagnose(data_dir: Path | None) -> list[dict[str, Any]]:
    return [asdict(finding) for finding in bootstrap.diagnose(_parts(data_dir))]


def list_tools(data_dir: Path | None) -> list[dict[str, str]]:
    return bootstrap.list_tools(_parts(data_dir))


def install_tools(data_dir: Path | None, kind: str, version: str) -> str:
    return bootstrap.install_tools(_parts(data_dir), kind, version)


def create_user(data_dir: Path, body: dict[str, object]) -> dict[str, Any]:
    return bootstrap.create_user(_parts(data_dir), body)


def reset_user(
    data_dir: Path, name: str, password: Secret | None, second_factors: bool
) -> dict[str, Any]:
    return bootstrap.reset_user(_parts(data_dir), name, password, second_factors=second_factors)
