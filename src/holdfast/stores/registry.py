"""Finds the driver of a kind of store; its module is imported on first use."""

import importlib
from collections.abc import Collection, Mapping
from typing import Protocol, cast, runtime_checkable

from pydantic import BaseModel, ValidationError

from holdfast.contracts.store import ObjectStore
from holdfast.domain.errors import Invalid

STORES: Mapping[str, str] = {
    "local": "holdfast.stores.local.driver",
    "memory": "holdfast.stores.memory.driver",
    "s3": "holdfast.stores.s3.driver",
}


class _Located(Protocol):
    """The options of every driver."""

    def location(self, key: str) -> str: ...


class _Driver(Protocol):
    """The module of a driver."""

    Options: type[BaseModel]

    def open_store(self, options: BaseModel, /) -> ObjectStore: ...


@runtime_checkable
class _Settling(Protocol):
    """The module of a driver whose services differ in what they need."""

    def settle(self, options: BaseModel, chosen: Collection[str], /) -> Mapping[str, object]: ...


def open_store(kind: str, options: Mapping[str, object]) -> ObjectStore:
    """Returns a store, without a request to it. Raises Invalid naming every bad field."""
    driver = _driver(kind)
    return driver.open_store(_parsed(driver, options))


def _parsed(driver: "_Driver", options: Mapping[str, object]) -> BaseModel:
    try:
        return driver.Options.model_validate(dict(options))
    except ValidationError as error:
        # Without the values: one of them may be a secret.
        problems = error.errors(include_input=False, include_url=False, include_context=False)
        details = {".".join(map(str, problem["loc"])): problem["msg"] for problem in problems}
        raise Invalid("The destination's settings are not valid.", details) from None


def settle(
    kind: str, options: Mapping[str, object], chosen: Collection[str]
) -> Mapping[str, object]:
    """Returns settings that a new store needs beside those the user has `chosen`.

    The store is asked. Raises Invalid as `open_store` does.
    """
    driver = _driver(kind)
    if not isinstance(driver, _Settling):
        return {}
    return driver.settle(_parsed(driver, options), chosen)


def location(kind: str, options: Mapping[str, object], key: str) -> str:
    """Returns the address of a key, as the stock `restic` takes it."""
    parsed = _driver(kind).Options.model_validate(dict(options))
    return cast("_Located", parsed).location(key)


def options_schema(kind: str) -> Mapping[str, object]:
    """Returns the JSON schema of a kind's settings: the one description of them."""
    return _driver(kind).Options.model_json_schema()


def _driver(kind: str) -> _Driver:
    if kind not in STORES:
        raise Invalid("Unknown kind of destination.", {"type": f"one of {', '.join(STORES)}"})
    return cast("_Driver", importlib.import_module(STORES[kind]))
